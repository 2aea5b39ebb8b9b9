/** The tree of commands in the words of a shell's completion: what may stand in which place. */
import type { Argument, Command, Option } from 'commander';

/** What a value can be. A placeholder says it by its name, as `<device>` does; `<dir>` is a directory. */
export type Kind =
  | { readonly words: readonly string[] }
  | 'device'
  | 'target'
  | 'group'
  | 'group-or-all'
  | 'file'
  | 'directory'
  | 'any';

export interface Flag {
  /** As it is typed: `--json`, and `-v` where there is a short one. */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent where nothing, or nothing that has to be there, follows. */
  readonly value: Kind | undefined;
}

export interface Slot {
  readonly kind: Kind;
  /** This and all that follow it. */
  readonly rest: boolean;
}

export interface Place {
  /** The words that lead here: empty for the program itself, `config get` for a command of a command. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly Flag[];
  readonly slots: readonly Slot[];
}

/** The program first, then all its commands, each with the options of those above it. */
export function places(program: Command): readonly Place[] {
  const walk = (command: Command, path: readonly string[], above: readonly Flag[]): Place[] => {
    const flags = [...command.options.filter(({ hidden }) => !hidden).map(flagOf), ...above];
    const here: Place = {
      path: path.join(' '),
      commands: command.commands.map((one) => ({ name: one.name(), description: one.description() })),
      flags,
      slots: command.registeredArguments.map(slotOf),
    };
    return [here, ...command.commands.flatMap((one) => walk(one, [...path, one.name()], flags))];
  };
  return walk(program, [], [{ names: ['--help', '-h'], description: 'display help', value: undefined }]);
}

function flagOf(option: Option): Flag {
  const { long, short, description, required, argChoices } = option;
  const placeholder = /[<[]([^\]>]+)[\]>]/.exec(option.flags)?.[1] ?? '';
  return {
    names: [long, short].filter((name) => name !== undefined),
    description,
    value: required ? kindOf(placeholder, argChoices) : undefined,
  };
}

function slotOf(argument: Argument): Slot {
  return { kind: kindOf(argument.name(), argument.argChoices), rest: argument.variadic };
}

function kindOf(placeholder: string, choices: readonly string[] | undefined): Kind {
  if (choices !== undefined) return { words: choices };
  switch (placeholder.replace(/\.+$/, '')) {
    case 'device':
      return 'device';
    case 'target':
      return 'target';
    case 'group':
      return 'group';
    case 'group-or-all':
      return 'group-or-all';
    case 'file':
      return 'file';
    case 'dir':
      return 'directory';
    default:
      return 'any';
  }
}
