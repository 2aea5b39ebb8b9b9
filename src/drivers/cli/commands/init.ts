import type { Command } from 'commander';
import { ExitStatus, MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import type { BrokerOptions } from '../initialise.ts';
import type { GlobalOptions, Invocation } from '../invocation.ts';

interface InitOptions extends BrokerOptions, GlobalOptions {
  readonly name?: string;
}

export function defineInit(program: Command, run: Run): void {
  const init = deviceOptions(program.command('init').description('make this device')).action(
    (options: InitOptions, command: Command) => run(command, (invocation) => makeDevice(invocation, options)),
  );
  withExamples(
    init,
    'mesh init --name laptop',
    'mesh init --name "the Pi" --broker mqtts://broker.example --broker-user pi --broker-password-file ./password',
  );
}

/** What a device is made with. */
export function deviceOptions(command: Command): Command {
  return command
    .option('--name <name>', 'what people call it')
    .option('--broker <url...>', 'where the broker is: mqtt://, mqtts://, ws:// or wss://')
    .option('--broker-user <name>', 'the login at the broker')
    .option('--broker-password-file <file>', 'its password, in the first line of a file')
    .option('--broker-ca <file>', 'who vouches for the broker, in PEM form')
    .option('--broker-pin <pin>', "the SHA-256 of the broker's certificate")
    .option('--topic-prefix <prefix>', 'before the device id in topics (/mesh/)');
}

async function makeDevice(invocation: Invocation, options: InitOptions): Promise<ExitStatus> {
  if (options.name === undefined) throw new MeshError('name-missing');
  const { initialise } = await import('../initialise.ts');
  const made = await initialise(invocation, options.name, options);
  await invocation.out.say(
    {
      event: 'initialised',
      deviceId: made.deviceId,
      fingerprint: made.fingerprint,
      name: made.name,
      home: invocation.home,
      ...(made.keyFile === undefined ? {} : { keyFile: made.keyFile }),
    },
    `${made.name} is ready in ${invocation.home}\nfingerprint: ${made.fingerprint}`,
  );
  tellOfKeyFile(invocation, made.keyFile);
  return ExitStatus.done;
}

export function tellOfKeyFile({ out }: Invocation, keyFile: string | undefined): void {
  if (keyFile === undefined) return;
  out.note(
    `made the key file ${keyFile}; it protects copies and backups of the data directory only, so keep it out of them`,
  );
}
