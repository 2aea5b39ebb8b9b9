/** Reads source files the way the architecture rules need them: imports, and code without comments and texts. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export const LAYERS = ['entities', 'usecases', 'adapters', 'drivers'] as const;
export type Layer = (typeof LAYERS)[number];

/** Pure packages that run on any engine; each has its reason in docs/decisions/0001-packages.md. */
export const NEUTRAL_PACKAGES = ['@noble/hashes', '@scure/base'];

export interface SourceFile {
  readonly layer: Layer;
  /** Relative to `src`. */
  readonly path: string;
  readonly text: string;
}

export function sourceFiles(src: string): SourceFile[] {
  return LAYERS.flatMap((layer) =>
    readdirSync(join(src, layer), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => ({
        layer,
        path: join(layer, name),
        text: readFileSync(join(src, layer, name), 'utf8'),
      })),
  );
}

/**
 * Blanks out comments and the insides of texts and regular expressions, keeping `${…}` of templates as code.
 * It need not know the whole grammar: a mistake shows as a rule that fires on a comment, or as the sample
 * violations in this folder's tests going unseen.
 */
export function codeOnly(text: string): string {
  let out = '';
  let at = 0;
  const templateDepths: number[] = [];
  let depth = 0;
  let lastCode = '';
  const skipQuoted = (quote: string): void => {
    at++;
    while (at < text.length && text[at] !== quote) at += text[at] === '\\' ? 2 : 1;
    at++;
    out += "''";
    lastCode = "'";
  };
  const skipTemplateText = (): void => {
    while (at < text.length && text[at] !== '`') {
      if (text[at] === '$' && text[at + 1] === '{') {
        at += 2;
        templateDepths.push(depth);
        depth++;
        out += '${';
        return;
      }
      at += text[at] === '\\' ? 2 : 1;
    }
    at++;
    out += '`';
    lastCode = '`';
  };
  while (at < text.length) {
    const here = text[at] ?? '';
    const next = text[at + 1];
    if (here === '/' && next === '/') {
      while (at < text.length && text[at] !== '\n') at++;
    } else if (here === '/' && next === '*') {
      const end = text.indexOf('*/', at + 2);
      at = end < 0 ? text.length : end + 2;
    } else if (here === '/' && /[=(,:;!&|?{}[\n>]|^$/.test(lastCode)) {
      at++;
      let inClass = false;
      while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
        if (text[at] === '[') inClass = true;
        else if (text[at] === ']') inClass = false;
        at += text[at] === '\\' ? 2 : 1;
      }
      at++;
      out += '/./';
      lastCode = '/';
    } else if (here === "'" || here === '"') {
      skipQuoted(here);
    } else if (here === '`') {
      out += '`';
      at++;
      skipTemplateText();
    } else if (here === '}' && templateDepths.at(-1) === depth - 1) {
      templateDepths.pop();
      depth--;
      out += '}';
      at++;
      skipTemplateText();
    } else {
      if (here === '{') depth++;
      if (here === '}') depth--;
      out += here;
      if (!/[ \t]/.test(here)) lastCode = here;
      at++;
    }
  }
  return out;
}

/** All module specifiers of a file: static and dynamic imports, re-exports, `require`. */
export function imports(text: string): string[] {
  const found: string[] = [];
  const patterns = [
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require)\s*\(\s*['"`]([^'"`]+)['"`]/g,
  ];
  for (const pattern of patterns) for (const match of text.matchAll(pattern)) found.push(match[1] ?? '');
  return found;
}

const AMBIENT: readonly [RegExp, string][] = [
  [/\bDate\s*\.\s*now\b|\bnew\s+Date\b|\bDate\s*\(/, 'reads the clock; time comes through a port'],
  [/\bMath\s*\.\s*random\b/, 'makes random numbers; randomness comes through a port'],
  [/\bglobalThis\b/, 'reaches for the global object'],
  [/(?<![.\w])(?:Buffer|process|require|__dirname|__filename)\b(?!\s*:)/, 'is a global of Node'],
  [
    /(?<![.\w])(?:window|document|navigator|localStorage|fetch|crypto)\b(?!\s*[:?])/,
    'is a global of browsers',
  ],
  [
    /(?<![.\w])(?:setTimeout|setInterval|setImmediate|queueMicrotask|performance|console|structuredClone)\b/,
    'is a global of the platform',
  ],
  [/(?<![.\w])(?:eval|Function)\s*\(/, 'makes code from text'],
  [/(?<![.\w])import\s*\(/, 'imports at run time'],
];

/** Why a file of an inner layer is not neutral: one line per finding. */
export function violations(file: SourceFile, src: string): string[] {
  const found: string[] = [];
  const rank = LAYERS.indexOf(file.layer);
  const inner = file.layer !== 'drivers';
  for (const specifier of imports(file.text)) {
    if (specifier.startsWith('.')) {
      const target = relative(src, resolve(src, dirname(file.path), specifier));
      const targetRank = LAYERS.findIndex((layer) => target.startsWith(`${layer}/`));
      if (targetRank < 0) found.push(`${file.path} imports ${specifier}, which is outside the layers`);
      else if (targetRank > rank) found.push(`${file.path} imports outwards: ${specifier}`);
    } else if (
      inner &&
      !NEUTRAL_PACKAGES.some((name) => specifier === name || specifier.startsWith(`${name}/`))
    ) {
      found.push(`${file.path} imports ${specifier}, which is not on the list of neutral packages`);
    }
  }
  if (!inner) return found;
  const code = codeOnly(file.text);
  for (const [pattern, why] of AMBIENT) {
    const match = pattern.exec(code);
    if (match !== null) found.push(`${file.path}: "${match[0].trim()}" ${why}`);
  }
  if (/\bdeclare\s+(?:const|let|var|function|class|global|module|namespace)\b/.test(code)) {
    if (file.path !== join('entities', 'text.ts')) found.push(`${file.path} declares a global of its own`);
  }
  if (/^\s*\/\/\/\s*<reference/m.test(file.text)) found.push(`${file.path} references types by a comment`);
  if (/@ts-(?:ignore|expect-error|nocheck)/.test(file.text)) found.push(`${file.path} silences the compiler`);
  return found;
}
