/** The code that an invite draws, read off a screen by a program that reads codes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawQr } from '../../src/drivers/cli/qr.ts';
import { freePort } from '../brokers/loopback.ts';
import { temporaryDirectory } from '../support/home.ts';
import {
  DARK,
  EIGHT_COLOURS,
  LIGHT,
  type Palette,
  pictureOf,
  screenOf,
} from '../support/terminal-picture.ts';
import { as, compile, type MeshProcess, mesh, up } from './mesh-process.ts';
import { make, type Place } from './pairing-cast.ts';
import { COLUMNS, CONTROL_C, onTerminal, ROWS } from './pty.ts';

const hasZbar = spawnSync('zbarimg', ['--version'], { stdio: 'ignore' }).error === undefined;

let base: string;
let laptop: Place;
let daemon: MeshProcess | undefined;
/** At the usual prefix. What is longer than this comes from a longer prefix, which a link carries too. */
let shortest: number;

beforeAll(async () => {
  await compile();
  base = await temporaryDirectory();
  // As long as a name in a link can be.
  laptop = await make(base, 'the laptop on the table!');
  daemon = await up(
    { ...laptop, deviceId: '' as never },
    '--embedded-broker',
    `127.0.0.1:${await freePort()}`,
  );
  shortest = (await invite()).link.length;
}, 180_000);
afterAll(async () => {
  await daemon?.stop();
  await rm(base, { recursive: true, force: true });
});

interface Shown {
  readonly link: string;
  readonly screen: string;
  readonly raw: string;
}

/** Everything that is on the screen while the invite waits. */
async function invite(env: Readonly<Record<string, string>> = {}): Promise<Shown> {
  const args = ['invite', '--home', laptop.home, '--key-file', laptop.keyFile];
  const terminal = onTerminal(args, { env });
  try {
    // The last line of the code, or what is said in its place.
    await terminal.shows(/mesh:\/\/join#[\w-]+\n\n(?:[ █▀▄]+\n){20,}|: paste the link\n/);
    // Whatever comes after it would move the picture.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { raw, screen } = terminal;
    terminal.type(CONTROL_C);
    await terminal.ended();
    return { raw, screen, link: /mesh:\/\/join#[\w-]+/.exec(screen)?.[0] ?? '' };
  } finally {
    await terminal.stop();
  }
}

/** Makes the links of this laptop so many characters long, or one or two shorter: four stand for three bytes. */
async function linksOf(length: number): Promise<void> {
  const bytes = Math.floor(((length - shortest) * 3) / 4);
  const key = ['topic-prefix', ...(bytes < 4 ? [] : [`/${'m'.repeat(bytes - 3)}/`])];
  const set = await mesh(['config', key.length === 1 ? 'unset' : 'set', ...key, ...as(laptop)]);
  expect(set.status, set.stdout).toBe(0);
}

/** What a camera in front of that terminal makes of it. */
async function read(raw: string, palette: Palette): Promise<string> {
  const picture = join(base, 'screen.pgm');
  await writeFile(picture, pictureOf(screenOf(raw, COLUMNS, ROWS, palette)));
  const args = ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', picture];
  const { stdout } = spawnSync('zbarimg', args, { encoding: 'utf8' });
  return stdout.trimEnd();
}

const fits = (length: number): boolean => {
  const { columns, rows } = drawQr('m'.repeat(length));
  return columns <= COLUMNS && rows < ROWS;
};
const longest = Array.from({ length: 512 }, (_, length) => length).findLast(fits) ?? 0;

/** With the pin of its certificate a link to an embedded broker has some 265 characters. */
const TYPICAL = 265;
const links: readonly (readonly [string, number, Readonly<Record<string, string>>])[] = [
  ['a typical one', TYPICAL, {}],
  ['a typical one with NO_COLOR', TYPICAL, { NO_COLOR: '1' }],
  ['the longest that an 80x40 terminal has room for', longest, {}],
  ['that one with NO_COLOR', longest, { NO_COLOR: '1' }],
];
const terminals = [
  ['dark', DARK],
  ['light', LIGHT],
  ['dark, of eight colours,', EIGHT_COLOURS],
] as const;

describe.skipIf(!hasZbar)(
  `zbarimg reads the code of an invite${hasZbar ? '' : ' (not installed, so skipped)'}`,
  () => {
    it('is a reader that finds nothing where there is no code', async () => {
      expect(await read('mesh://join#AQC7\r\n'.repeat(30), DARK)).toBe('');
      expect(execFileSync('zbarimg', ['--version'], { encoding: 'utf8' })).toMatch(/\d/);
    });

    describe.each(links)('%s', (_name, length, env) => {
      let shown: Shown;
      beforeAll(async () => {
        await linksOf(length);
        shown = await invite(env);
      });

      it('is as long as it should be', () => {
        expect(shown.link.length).toBeLessThanOrEqual(length);
        expect(shown.link.length).toBeGreaterThan(length - 3);
      });

      it.each(terminals)('on a %s terminal', async (_terminal, palette) => {
        expect(await read(shown.raw, palette)).toBe(shown.link);
      });
    });
  },
);

it('a code that the terminal has no room for is not drawn: the link is there to be pasted', async () => {
  await linksOf(longest + 4);
  const { link, screen, raw } = await invite();
  expect(link.length).toBeGreaterThan(longest);
  expect(screen).toMatch(/the code needs \d+ columns and \d+ lines, more than this terminal has/);
  expect(raw).not.toMatch(/[█▀▄]/);
});
