import type { Command } from 'commander';
import type { ExitStatus } from '../../entities/errors.ts';
import type { Invocation } from './invocation.ts';

/** Runs what a command does, with all that was asked for beside it. Nothing returned means all is well. */
export type Run = (
  command: Command,
  work: (invocation: Invocation) => Promise<ExitStatus | undefined>,
) => Promise<void>;
