/**
 * Puts a counter behind every statement, function and branch of a piece of JavaScript, and lets each comparison
 * with `===` say how near it came. Plain JavaScript itself, because what bundles the fuzzer runs before there is
 * a bundle.
 */
import instrumenter from 'istanbul-lib-instrument';
import { parseSync, Visitor } from 'rolldown/utils';
import { COUNTERS, NEAR } from './names.mjs';

let comparisons = 0;

/** The same code, counting. A module keeps its exports. */
export function instrument(code, path) {
  const made = instrumenter.createInstrumenter({
    coverageVariable: COUNTERS,
    esModules: true,
    compact: false,
    produceSourceMap: false,
  });
  return made.instrumentSync(comparing(code, path), path);
}

/**
 * `a === b` becomes a call. A branch only tells that two lengths differ; that they differ by less than before is
 * what leads to the input in which they do not.
 */
function comparing(code, path) {
  const { program, errors } = parseSync(path.replace(/\.m?ts$/, '.js'), code);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  /** Texts that go in at a place; those of one place in the order in which they were put there. */
  const edits = [];
  const visitor = new Visitor({
    BinaryExpression({ operator, left, right, start, end }) {
      if (operator !== '===' && operator !== '!==') return;
      const at = code.indexOf(operator, left.end);
      if (at < 0 || at + operator.length > right.start) return;
      const not = operator === '!==' ? '!' : '';
      edits.push({ at: start, remove: 0, text: `${not}${NEAR}(${comparisons++}, ` });
      edits.push({ at, remove: operator.length, text: ',' });
      edits.push({ at: end, remove: 0, text: ')' });
    },
  });
  visitor.visit(program);
  let written = '';
  let from = 0;
  for (const { at, remove, text } of edits.sort((a, b) => a.at - b.at)) {
    written += code.slice(from, at) + text;
    from = at + remove;
  }
  return written + code.slice(from);
}
