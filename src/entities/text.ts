/**
 * The only two platform objects that the inner layers use. Every engine that runs ECMAScript for people
 * (Node, browsers, Deno, React Native) has them; the language's own type library does not.
 */
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Up to this length a loop is several times faster than a call of the platform, where it is all ASCII. */
const SHORT = 24;

export function utf8(text: string): Uint8Array {
  if (text.length > SHORT) return encoder.encode(text);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return encoder.encode(text);
    bytes[i] = unit;
  }
  return bytes;
}

/** Returns the text, or `undefined` where the bytes are not valid UTF-8. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  if (bytes.length <= SHORT && bytes.every((byte) => byte <= 0x7f)) return String.fromCharCode(...bytes);
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Newer engines know it themselves, and look at a long text many times faster. */
type Text = string & { isWellFormed?(): boolean };

/** True where every UTF-16 unit belongs to a character, so that UTF-8 can carry the text unchanged. */
export function isWellFormed(text: string): boolean {
  const known = (text as Text).isWellFormed?.();
  if (known !== undefined) return known;
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text);
}
