import type { Invocation } from './invocation.ts';
export async function runDemo(_invocation: Invocation): Promise<void> {}
