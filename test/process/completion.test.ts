/** What the tabulator key does in real shells. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import { freePort } from '../brokers/loopback.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, MeshProcess, mesh, PROGRAM } from './mesh-process.ts';
import { TABULATOR, TerminalProcess } from './pty.ts';

const run = promisify(execFile);
const has = (program: string): boolean => {
  try {
    execFileSync(program, ['-c', ':'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const NAMES = ['laptop', "Alice's phone", 'the $(Pi)'];
const GROUP = 'kin $(x)';
let base: string;
let laptop: MeshDevice;
let terminals: TerminalProcess[] = [];

const at = (name: string): string => join(base, name);
const environment = () => ({ PATH: `${at('bin')}:${process.env.PATH}`, HOME: base, MESH_HOME: laptop.home });
const withDaemon = async (work: () => Promise<void>): Promise<void> => {
  const daemon = new MeshProcess(['up', ...as(laptop)]);
  try {
    await daemon.saw('ready');
    await work();
  } finally {
    await daemon.stop('SIGKILL');
  }
};

beforeAll(async () => {
  await compile();
  base = await temporaryDirectory();
  const brokerUrl = `mqtt://127.0.0.1:${await freePort()}`;
  const [first] = await makeMesh({ count: 3, dir: base, brokerUrl, names: NAMES });
  if (first === undefined) throw new Error('three were asked for');
  laptop = first;
  await withDaemon(async () => {
    const made = await mesh(['group', 'create', GROUP, ...as(laptop)]);
    expect(made.status, made.stdout).toBe(0);
  });
  await mkdir(at('bin'));
  await writeFile(at('bin/mesh'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, {
    mode: 0o755,
  });
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { status, stdout } = await mesh(['completion', shell]);
    expect(status).toBe(0);
    await writeFile(at(shell), stdout);
  }
}, 120_000);
afterEach(async () => {
  for (const one of terminals) await one.stop();
  terminals = [];
});
afterAll(() => rm(base, { recursive: true, force: true }));

test('a shell that nobody knows, and none at all, are mistakes', async () => {
  for (const args of [['completion', 'tcsh'], ['completion']]) {
    const { status, events } = await mesh([...args, '--json']);
    expect([status, events.at(-1)?.code]).toEqual([2, 'usage']);
  }
});

test('without a daemon no device and no group is offered, and the store stays closed', async () => {
  for (const which of ['--devices', '--groups']) {
    const began = await mesh(['completion', which, '--home', laptop.home]);
    expect([began.status, began.stdout, began.stderr]).toEqual([0, '', '']);
  }
});

/** Each shell says what it would offer for a line whose last word is not finished. */
const offers = (
  name: string,
  complete: (...words: readonly string[]) => Promise<readonly string[]>,
): void => {
  it('parses the script', async () => {
    await run(name, ['-n', at(name)]);
  });

  it.each([
    [['se'], ['send', 'service']],
    [
      ['config', ''],
      ['get', 'set', 'unset'],
    ],
    [
      ['config', 'set', 'broker-p'],
      ['broker-password', 'broker-pin'],
    ],
    [
      ['--home', '/x', 'key', 'add', ''],
      ['key-file', 'passphrase'],
    ],
    [
      ['send', 'pi', 'x', '--wait', ''],
      ['accepted', 'published', 'delivered'],
    ],
    [['send', '--th'], ['--thread']],
    [
      ['outbox', '--'],
      ['--all', '--home', '--json', '--quiet', '--verbose', '--key-file', '--passphrase-file', '--help'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [
      ['group', 're'],
      ['remove', 'rename'],
    ],
    // No daemon is there to name any other.
    [['group', 'rotate', ''], ['all']],
    [['status', ''], []],
  ])('completes mesh %j', async (words, expected) => {
    expect([...(await complete(...words))].sort()).toEqual([...expected].sort());
  });

  it('completes files after options that take one', async () => {
    await writeFile(at('some.key'), '');
    expect(await complete('status', '--key-file', at('some.'))).toEqual([at('some.key')]);
  });

  it('completes devices from a daemon, quoted so that a name runs nothing', async () => {
    await withDaemon(async () => {
      const all = await complete('send', '');
      expect(all).toContain('all');
      expect(all).toHaveLength(6);
      const from = await complete('listen', '--from', '');
      expect(from).not.toContain('all');
      expect(from).toHaveLength(4);
    });
  });

  it('completes groups from a daemon, where only one can stand and where it is one of the targets', async () => {
    await withDaemon(async () => {
      expect((await complete('send', '')).map(plain)).toContain(`@${GROUP}`);
      expect((await complete('group', 'add', '')).map(plain)).toEqual([GROUP]);
      expect((await complete('group', 'add', 'ki')).map(plain)).toEqual([GROUP]);
      expect((await complete('group', 'add', 'mine', '')).map(plain)).toHaveLength(4);
      expect((await complete('listen', '--group', '')).map(plain).sort()).toEqual(['all', GROUP]);
      expect((await complete('group', 'rename', 'mine', '')).map(plain)).toEqual([]);
    });
  });
};

const plain = (word: string): string => word.replaceAll('\\', '');

describe('bash', () => {
  const complete = async (...words: readonly string[]): Promise<readonly string[]> => {
    const script = `source "$1"; shift; COMP_WORDS=(mesh "$@"); COMP_CWORD=$#; _mesh mesh; printf '%s\\0' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await run('bash', ['--norc', '-c', script, 'bash', at('bash'), ...words], {
      env: environment(),
    });
    expect(stderr.replaceAll(/.*compopt: not currently executing completion function\n/g, '')).toBe('');
    return stdout.split('\0').filter((word) => word !== '');
  };
  offers('bash', complete);

  it('quotes what a name has in it, or leaves that to a quote that was begun', async () => {
    await withDaemon(async () => {
      expect(await complete('send', 'the')).toEqual(['the\\ \\$\\(Pi\\)']);
      expect(await complete('send', 'the\\ ')).toEqual(['the\\ \\$\\(Pi\\)']);
      expect(await complete('send', "'the ")).toEqual(['the $(Pi)']);
    });
  });

  it('quotes as the person has begun to, so that a name runs nothing and breaks nothing', async () => {
    await withDaemon(async () => {
      expect(await complete('send', '"the ')).toEqual(['the \\$(Pi)']);
      expect(await complete('send', '"Al')).toEqual(["Alice's phone"]);
      expect(await complete('send', "'Al")).toEqual(["Alice'\\''s phone"]);
    });
  });

  it('completes a group behind its sign, which bash takes for a word of its own', async () => {
    await withDaemon(async () => {
      const terminal = new TerminalProcess('bash', ['--norc', '-i'], { env: environment() });
      terminals.push(terminal);
      // In place of the program, which is asked for completions only: what it would have got.
      const say = `say() { if [[ $1 == completion ]]; then mesh "$@"; else printf '<%s>' "$@"; echo; fi; }`;
      terminal.type(`${say}; source ${at('bash')}; complete -F _mesh say; echo set''up\r`);
      await terminal.shows('setup\n');
      const lines: readonly (readonly [typed: string, got: string])[] = [
        ['send @', '<send><@kin $(x)>'],
        ['send @k', '<send><@kin $(x)>'],
        ['send "@k', '<send><@kin $(x)>'],
        ["send '@k", '<send><@kin $(x)>'],
        ['group add @', '<group><add><@kin $(x)>'],
        ['group add k', '<group><add><kin $(x)>'],
        ['listen --group @k', '<listen><--group><@kin $(x)>'],
        ['listen --group=@k', '<listen><--group=@kin $(x)>'],
        ['listen --group=@', '<listen><--group=@kin $(x)>'],
        ['group add @kin the', '<group><add><@kin><the $(Pi)>'],
        ['listen --group @kin --from the', '<listen><--group><@kin><--from><the $(Pi)>'],
      ];
      for (const [number, [typed, got]] of lines.entries()) {
        // What is typed while it completes is read afterwards.
        terminal.type(`say ${typed}${TABULATOR};echo e''nd ${number}\r`);
        await terminal.shows(`end ${number}\n`);
        expect(terminal.screen, typed).toContain(`${got}\nend ${number}\n`);
      }
    });
  });

  it('knows an option and its value with a sign in between, as bash cuts them', async () => {
    expect(await complete('send', 'pi', '--wait', '=', 'pub')).toEqual(['published']);
    expect(await complete('send', 'pi', '--wait', '=')).toHaveLength(3);
  });
});

describe.skipIf(!has('fish'))(`fish${has('fish') ? '' : ' (not installed, so skipped)'}`, () => {
  const quoted = (word: string): string => (word === '' ? '' : word);
  offers('fish', async (...words) => {
    const line = `mesh ${words.map(quoted).join(' ')}`;
    const { stdout, stderr } = await run(
      'fish',
      ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', at('fish'), line],
      { env: environment() },
    );
    expect(stderr).toBe('');
    const offered = stdout.split('\n').filter((text) => text !== '');
    return offered.map((text) => text.split('\t')[0] ?? '').filter((text) => !/^-\w$/.test(text));
  });
});

describe.skipIf(!has('zsh'))(`zsh${has('zsh') ? '' : ' (not installed, so skipped)'}`, () => {
  it('parses the script', async () => {
    await run('zsh', ['-n', at('zsh')]);
  });

  async function shell(): Promise<TerminalProcess> {
    await mkdir(at('zfunc'), { recursive: true });
    const terminal = new TerminalProcess('zsh', ['-f', '-i'], { env: environment() });
    terminals.push(terminal);
    terminal.type(`PS1='> '; autoload -Uz compinit && compinit -u -D; source ${at('zsh')}; echo set''up\r`);
    await terminal.shows('setup\n');
    return terminal;
  }

  it('completes commands and says what they do', async () => {
    const terminal = await shell();
    terminal.type(`mesh se${TABULATOR}${TABULATOR}`);
    await terminal.shows(/send\s+-- send a message/);
    await terminal.shows(/service\s+-- let systemd/);
  });

  it('completes what a setting can be called, and what an option takes', async () => {
    const terminal = await shell();
    terminal.type(`mesh config set topic${TABULATOR}`);
    await terminal.shows('mesh config set topic-prefix');
    terminal.type(`\u0015mesh send x --wait del${TABULATOR}`);
    await terminal.shows('--wait delivered');
  });

  it('completes devices from a daemon, quoted so that a name runs nothing', async () => {
    await withDaemon(async () => {
      const terminal = await shell();
      terminal.type(`mesh send the${TABULATOR}`);
      await terminal.shows('mesh send the\\ \\$\\(Pi\\)');
      terminal.type(`\u0015mesh send @${TABULATOR}`);
      await terminal.shows('mesh send @kin\\ \\$\\(x\\)');
      terminal.type(`\u0015mesh group add @${TABULATOR}`);
      await terminal.shows('mesh group add @kin\\ \\$\\(x\\)');
      terminal.type(`\u0015mesh group delete ${TABULATOR}`);
      await terminal.shows('mesh group delete kin\\ \\$\\(x\\)');
      terminal.type(`\u0015mesh listen --group a${TABULATOR}`);
      await terminal.shows('mesh listen --group all');
    });
  });
});
