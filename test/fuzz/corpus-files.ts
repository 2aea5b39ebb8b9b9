/** The inputs that are kept with the code: one file each, in a folder for each target, named by their hash. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MOST_FILES = 120;
const MOST_FILE_BYTES = 4096;
/** Of one target, so that all of them together stay well below a megabyte. */
const MOST_BYTES = 40 * 1024;
/** What once was a finding is never thrown out for another input. */
const FINDING = 'finding-';

export interface CorpusFile {
  readonly name: string;
  readonly input: Uint8Array;
}

const folderOf = (root: string, target: string): string => join(root, 'test/fuzz/corpus', target);

export function readCorpus(root: string, target: string): CorpusFile[] {
  const folder = folderOf(root, target);
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  return names.map((name) => ({ name, input: new Uint8Array(readFileSync(join(folder, name))) }));
}

/** Returns the path of the file, from the root. */
export function writeFinding(root: string, target: string, input: Uint8Array): string {
  return write(root, target, FINDING + nameOf(input), input);
}

/** Puts this corpus in the place of the one that is there, as far as there is room for it. */
export function replaceCorpus(root: string, target: string, inputs: readonly Uint8Array[]): number {
  for (const { name } of readCorpus(root, target)) {
    if (!name.startsWith(FINDING)) rmSync(join(folderOf(root, target), name));
  }
  let bytes = 0;
  let files = 0;
  for (const input of inputs.toSorted((a, b) => a.length - b.length)) {
    const hasRoom = files < MOST_FILES && bytes + input.length <= MOST_BYTES;
    if (!hasRoom || input.length > MOST_FILE_BYTES) continue;
    write(root, target, nameOf(input), input);
    bytes += input.length;
    files++;
  }
  return files;
}

function write(root: string, target: string, name: string, input: Uint8Array): string {
  mkdirSync(folderOf(root, target), { recursive: true });
  writeFileSync(join(folderOf(root, target), name), input);
  return join('test/fuzz/corpus', target, name);
}

const nameOf = (input: Uint8Array): string => createHash('sha256').update(input).digest('hex').slice(0, 16);
