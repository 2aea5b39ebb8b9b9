/** What the scenario knows of a broker: how it comes and goes, and where it listens meanwhile. */
import type { ProtocolVersion } from '../../../src/drivers/mqtt/settings.ts';
import type { KeyAndCertificate } from '../certificates.ts';

/** The schemes of a broker's URLs. */
export type Way = 'mqtt' | 'mqtts' | 'ws' | 'wss';

export interface Broker {
  /** A way that is not there is one that this broker, as it is set up here, does not have. */
  readonly urls: Readonly<Partial<Record<Way, string>>>;
  /** Shown from the next start on, at the ways that go through TLS. */
  present(certificate: KeyAndCertificate): Promise<void>;
  /** With what is still on its disk. Resolves when it listens everywhere. */
  start(): Promise<void>;
  /** As the power cut does. */
  kill(): Promise<void>;
  /** Deletes what it has kept. Only while it does not run. */
  wipe(): Promise<void>;
  /** Ends it, and whatever it has started besides. */
  stop(): Promise<void>;
}

export interface Kind {
  readonly name: string;
  /** Why it cannot run on this machine. */
  readonly missing: string | undefined;
  /** The version of MQTT that the two ends have to settle on. */
  readonly speaks: ProtocolVersion;
  /** Sessions and what waits in them outlive the process. */
  readonly keepsQueues: boolean;
  /** The laptop's own daemon is this broker, and the options of `mesh up` that make it so. */
  readonly inside?: (port: number) => readonly string[];
  /** `home` is an empty directory. */
  make(home: string): Promise<Broker>;
}

/**
 * Whether a broker is there to be tested. One that is missing is said aloud and left out, and where all are
 * required it fails.
 */
export function required(title: string, missing: string | undefined): boolean {
  if (missing === undefined) return true;
  if (process.env.MESH_REQUIRE_BROKERS === '1') throw new Error(`${title}: ${missing}`);
  process.stderr.write(`skipped: ${title}: ${missing}\n`);
  return false;
}
