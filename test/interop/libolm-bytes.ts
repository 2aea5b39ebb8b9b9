/**
 * Libolm with bytes for plaintexts. Its script takes and gives text: what it decrypts ends for it at the first zero,
 * and what is not UTF-8 does not survive. The compiled code below the script knows nothing but bytes, so they are
 * put in and taken out where the one calls the other.
 */
import Olm from '@matrix-org/olm';

/** What the script calls, with addresses in the memory that both see. */
interface Compiled {
  readonly HEAPU8: Uint8Array;
  _olm_group_encrypt: Call;
  _olm_group_decrypt: Call;
}
type Call = (...words: readonly number[]) => number;

let putIn: Uint8Array | undefined;
let takenOut: Uint8Array | undefined;

/** Once for each process, in the place of `Olm.init`. */
export function initLibolm(): Promise<void> {
  // What libolm was compiled with runs these when the code is there, and hands it to them.
  return Olm.init({ preRun: [tap] });
}

function tap(compiled: Compiled): void {
  replace(compiled, '_olm_group_encrypt', (call, words) => {
    const [, plaintext = 0, length] = words;
    if (putIn !== undefined && putIn.length === length) compiled.HEAPU8.set(putIn, plaintext);
    return call(...words);
  });
  replace(compiled, '_olm_group_decrypt', (call, words) => {
    const length = call(...words);
    const [, , , plaintext = 0] = words;
    // What is negative is an error.
    takenOut = length < 0 ? undefined : compiled.HEAPU8.slice(plaintext, plaintext + length);
    return length;
  });
}

type CallName = '_olm_group_encrypt' | '_olm_group_decrypt';
type Tapped = (call: Call, words: readonly number[]) => number;

/** The compiler puts a stand-in there, which puts the real call in its place when it is first used. */
function replace(compiled: Compiled, name: CallName, tapped: Tapped): void {
  let call = compiled[name];
  Object.defineProperty(compiled, name, {
    get:
      () =>
      (...words: readonly number[]) =>
        tapped(call, words),
    set: (loaded: Call) => {
      call = loaded;
    },
  });
}

/** The message as its script gives it, in base64. */
export function encryptBytes(session: Olm.OutboundGroupSession, plaintext: Uint8Array): string {
  putIn = plaintext;
  const message = session.encrypt('.'.repeat(plaintext.length));
  putIn = undefined;
  return message;
}

export function decryptBytes(
  session: Olm.InboundGroupSession,
  message: string,
): { readonly index: number; readonly plaintext: Uint8Array } {
  takenOut = undefined;
  const { message_index: index } = session.decrypt(message);
  if (takenOut === undefined) throw new Error('libolm decrypted something elsewhere');
  return { index, plaintext: takenOut };
}
