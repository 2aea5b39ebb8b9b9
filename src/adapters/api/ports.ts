/** What the methods of the local API work with. */
import type { Hash } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { MeshError } from '../../entities/errors.ts';
import type { MeshId } from '../../entities/mesh-id.ts';
import type { InviteLink, LinkBroker } from '../../entities/pairing/link.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import type { Secret } from '../../entities/secret.ts';
import type { Messenger } from '../../usecases/messaging/messenger.ts';
import type { Clock } from '../../usecases/ports/clock.ts';
import type { Keystore } from '../../usecases/ports/keystore.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import type { Transport } from '../../usecases/ports/transport.ts';
import type { Settings } from '../../usecases/settings.ts';
import type { BrokerLine } from '../broker-line.ts';
import type { Slots } from '../keystore/unlocked-header.ts';

/** What `doctor` needs of the platform. */
export interface Checkup {
  /** Throws what is wrong with the files of the store. */
  files(): Promise<void>;
  /** True where a second client of our login would take the place of the first. */
  oneSessionPerLogin(): Promise<boolean>;
  /** Another client with our login; `clean` leaves nothing of it at the broker. Throws where there is no broker. */
  secondClient(clientId: string, clean: boolean): Promise<Transport>;
}

export interface JoinOptions {
  /** Where the link does not carry one. */
  readonly login?: { readonly user: string; readonly password: Secret };
  readonly ca?: string;
}

export type JoinEvent =
  | { readonly kind: 'code'; readonly code: string; readonly fingerprint: string }
  /** The broker cannot be reached just now, for example. It goes on trying. */
  | { readonly kind: 'trouble'; readonly error: MeshError };

/** Every payload passes through it, so it is the platform's own where that has one. Without padding. */
export interface Base64 {
  encode(bytes: Uint8Array): string;
  /** `undefined` where the text is not what `encode` makes of any bytes. */
  decode(text: string): Uint8Array | undefined;
}

export interface ApiPorts {
  readonly self: DeviceId;
  readonly home: string;
  /** A daemon stays; a one-shot command serves the socket only as long as it works. */
  readonly host: 'daemon' | 'one-shot';
  readonly pid: number;
  readonly version: string;
  readonly hash: Hash;
  readonly base64: Base64;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly keystore: Pick<Keystore, 'keys' | 'read'>;
  readonly messenger: Messenger;
  readonly membership: () => Membership;
  readonly settings: Settings;
  readonly slots: Slots;
  readonly line: Pick<BrokerLine, 'state' | 'watch' | 'publish' | 'probe' | 'renew'>;
  readonly checkup: Checkup;
  /** Connects where that has not been done yet; resolves when what lay at the broker has been looked at. */
  readonly online: () => Promise<void>;
  /** The store cannot be read any more: the process has to end. */
  readonly fatal: (error: unknown) => void;
  /** What an invite says about the broker. Throws where there is none that others could reach. */
  readonly inviteBroker: (shareLogin: boolean) => Promise<LinkBroker>;
  /**
   * Becomes a member of the mesh that the link leads to, and leaves the one of its own. Afterwards, however it
   * went, the host begins anew: nothing else can be asked of this one.
   */
  readonly join: (
    link: InviteLink,
    options: JoinOptions,
    told: (event: JoinEvent) => void,
    /** Takes what is to be called when the person does not want to any more. */
    onQuit: (quit: () => void) => void,
  ) => Promise<{ readonly mesh: MeshId; readonly members: number }>;
  /** This device is no longer wanted here: its store goes when the host ends, which is to be soon. */
  readonly retire: () => void;
  /** A daemon wants the store: a one-shot command gives it up. */
  readonly handOver: () => void;
}
