/** What every engine owes: see src/usecases/ports/engine.ts. */
import { describe } from 'vitest';
import type { Engine } from '../../src/usecases/ports/engine.ts';
import { accountContract } from './engine-account.ts';
import { groupSessionContract } from './engine-group-session.ts';
import { handleContract } from './engine-handle.ts';
import { sessionContract } from './engine-session.ts';

export type MakeEngine = () => Promise<Engine>;

export function engineContract(name: string, makeEngine: MakeEngine): void {
  describe(`the engine: ${name}`, () => {
    accountContract(makeEngine);
    sessionContract(makeEngine);
    groupSessionContract(makeEngine);
    handleContract(makeEngine);
  });
}
