import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOnly, imports, LAYERS, type Layer, sourceFiles, violations } from './source.ts';

const src = join(import.meta.dirname, '../../src');
const files = sourceFiles(src);

describe('the layers', () => {
  it('have files in each of them', () => {
    for (const layer of LAYERS) expect(files.filter((file) => file.layer === layer)).not.toHaveLength(0);
  });

  it('depend inwards only, and the three inner ones on nothing that belongs to a platform', () => {
    expect(files.flatMap((file) => violations(file, src))).toEqual([]);
  });

  it('see no types of a platform in the three inner ones', () => {
    for (const layer of ['entities', 'usecases', 'adapters']) {
      const config = readFileSync(join(src, layer, 'tsconfig.json'), 'utf8');
      expect(config).not.toMatch(/"types"|"lib"/);
    }
    const base = readFileSync(join(src, '../tsconfig.base.json'), 'utf8');
    expect(base).toMatch(/"types": \[\]/);
    expect(base).toMatch(/"lib": \["ES2023"\]/);
  });
});

describe('the rules', () => {
  const innermost: readonly Layer[] = ['entities', 'usecases', 'adapters'];
  const offences: readonly (readonly [string, string])[] = [
    ['a module of Node', "import 'node:fs';"],
    ['a module of Node in a list', "import {\n  readFile,\n} from 'node:fs/promises';"],
    ['a package that only drivers may use', "import 'mqtt';"],
    ['a package by its type only', "import type { MqttClient } from 'mqtt';"],
    ['a package re-exported', "export { connect } from 'mqtt';"],
    ['an import at run time', "const fs = await import('node:fs');"],
    ['Buffer', 'export const x = Buffer.alloc(1);'],
    ['the clock', 'export const x = Date.now();'],
    ['the clock, hidden', 'export const x = Date\n  .now();'],
    ['the clock through an object', 'export const x = new Date().getTime();'],
    ['random numbers', 'export const x = Math.random();'],
    ['a timer inside a template', 'export const x = `${setTimeout(f, 1)}`;'],
    ['the global object', "export const x = globalThis['Buffer'];"],
    ['a global declared by hand', 'declare const process: { pid: number };'],
    ['types by comment', '/// <reference types="node" />'],
    ['a layer further out', "import { x } from '../drivers/x.ts';"],
    ['a file outside the layers', "import { x } from '../../test/x.ts';"],
  ];
  for (const [what, text] of offences) {
    it(`refuse ${what} in every inner layer`, () => {
      for (const layer of innermost) {
        expect(violations({ layer, path: join(layer, 'sample.ts'), text }, src)).not.toEqual([]);
      }
    });
  }

  it('leave comments, texts, property names and neutral packages alone', () => {
    const text = [
      "import { hex } from '@scure/base';",
      "import { sha256 } from '@noble/hashes/sha2.js';",
      '// Date.now() is what we avoid; so is Buffer',
      '/* Math.random() */',
      'export const a = \'process.env and import("node:fs")\'.length;',
      'export const b = { process: 1, window: 2 };',
      'export const c = b.process + encode(sha256).length;',
      'export const d = /"Buffer\\/`/.test(`no Buffer here ${a} nor Date.now() here`);',
    ].join('\n');
    // `import("node:fs")` inside a text is the one thing the import scan sees too much of; none of ours has it.
    const found = violations({ layer: 'adapters', path: 'adapters/sample.ts', text }, src);
    expect(found.filter((line) => !line.includes('node:fs'))).toEqual([]);
  });

  it('see code behind a comment, a text and a regular expression', () => {
    expect(codeOnly("a('//'); b(/[/'\"]/); /* x */ c(`${d('}')}e`) // f")).toBe(
      "a(''); b(/./);  c(`${d('')}`) ",
    );
    expect(imports("import a from 'x';\nexport * from 'y';\nawait import('z')")).toEqual(['x', 'y', 'z']);
  });
});
