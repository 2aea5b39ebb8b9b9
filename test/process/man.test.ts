/** Help and manual come from the tree of commands; so does what is asked of every command in it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { examplesOf } from '../../src/drivers/cli/examples.ts';
import { leaves, manualPage } from '../../src/drivers/cli/man.ts';
import { wholeTree } from '../../src/drivers/cli/program.ts';
import { compile, mesh } from './mesh-process.ts';

const page = join(import.meta.dirname, '../../docs/man/mesh.1');
const program = await wholeTree();
const all = leaves(program, []);
const hasMandoc = spawnSync('mandoc', ['-h'], { stdio: 'ignore' }).error === undefined;

beforeAll(compile, 120_000);

describe.each(all.map(({ command, path }) => [path.join(' '), command] as const))(
  'mesh %s',
  (name, command) => {
    it('says what it does, and so do its options and arguments', () => {
      const texts = [
        command.description(),
        ...command.options.map(({ description }) => description),
        ...command.registeredArguments
          .filter(({ argChoices }) => !argChoices)
          .map(({ description }) => description),
      ];
      for (const text of texts) expect(text).toMatch(/^\S.*[^.\s]$/);
    });

    it('has examples that are of this command and use only options that it has', () => {
      const examples = examplesOf(command);
      expect(examples.length).toBeGreaterThan(0);
      const known = [command, program].flatMap(({ options }) =>
        options.flatMap(({ long, short }) => [long, short]),
      );
      for (const example of examples) {
        expect(example).toContain(`mesh ${name}`);
        const own = example.slice(example.indexOf(`mesh ${name}`)).split(/ [|>] |'/)[0] ?? '';
        for (const option of own.match(/(?<= )--?[a-z][\w-]*/g) ?? []) expect(known).toContain(option);
      }
    });
  },
);

test('the help of a command ends with its examples', async () => {
  const { status, stdout } = await mesh(['listen', '--help']);
  expect(status).toBe(0);
  const listen = all.find(({ path }) => path.join(' ') === 'listen')?.command;
  const examples = listen === undefined ? [] : examplesOf(listen);
  expect(stdout.trimEnd().split('\n').slice(-examples.length)).toEqual(examples.map((line) => `  ${line}`));
});

test('words of commands and options need no quoting in any shell', () => {
  const walk = (command: typeof program): readonly string[] => [
    command.name(),
    ...command.options.flatMap(({ long, argChoices }) => [long ?? '', ...(argChoices ?? [])]),
    ...command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    ...command.commands.flatMap(walk),
  ];
  for (const word of walk(program)) expect(word).toMatch(/^(?:--)?[a-z][a-z-]*$/);
});

test('the manual page is what "npm run man" makes of the commands', () => {
  expect(readFileSync(page, 'utf8')).toBe(manualPage(program));
});

test('the manual page names each command and each option', () => {
  const text = manualPage(program);
  for (const { command, path } of all) {
    expect(text).toContain(`.It Cm ${path.join(' Cm ')}`);
    for (const { long } of command.options)
      expect(text).toContain(`Fl ${long?.slice(1).replaceAll('-', '\\-')}`);
  }
});

test.skipIf(!hasMandoc)(
  `mandoc has nothing to say about it${hasMandoc ? '' : ' (not installed, so skipped)'}`,
  () => {
    const output = execFileSync('mandoc', ['-Tlint', '-Wstyle', page], { encoding: 'utf8' });
    expect(output).toBe('');
  },
);
