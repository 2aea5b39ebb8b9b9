/** What each login may do at the embedded broker. Decisions only; the broker asks and carries them out. */
import { equal } from '../../entities/bytes.ts';
import { type DeviceId, parseDeviceId } from '../../entities/device-id.ts';
import { hashGiven, type Login } from './login.ts';

/** Anything of this length is compared, so that unknown names take as long as known ones. */
const NOBODY = new Uint8Array(32);

export class Rules {
  /** What stands before the device id in the topic of every inbox. */
  prefix: string;
  readonly #logins = new Map<string, Login>();
  /** The one inbox of each invite's newcomer, once it has asked for it. */
  readonly #claimed = new Map<string, DeviceId>();

  constructor(prefix: string, logins: Iterable<Login>) {
    this.prefix = prefix;
    for (const login of logins) this.add(login);
  }

  /** A login of the same name is replaced: a changed password counts from now on. */
  add(login: Login): void {
    this.#logins.set(login.name, login);
    this.#claimed.delete(login.name);
  }

  remove(name: string): void {
    this.#logins.delete(name);
    this.#claimed.delete(name);
  }

  knows(login: Login): boolean {
    return this.#logins.get(login.name) === login;
  }

  check(name: string | undefined, password: Uint8Array | undefined): Login | undefined {
    if (name === undefined || password === undefined) return undefined;
    const login = this.#logins.get(name);
    const matches = equal(hashGiven(name, password), login?.passwordHash ?? NOBODY);
    return matches ? login : undefined;
  }

  mayPublish(
    login: Login,
    packet: { readonly topic: string; readonly retain: boolean; readonly qos: number },
  ): boolean {
    if (packet.retain || packet.qos > 1) return false;
    const inbox = this.#inboxOwner(packet.topic);
    if (inbox === undefined) return false;
    return login.kind === 'device' || inbox === login.inviter;
  }

  /** For an invite's newcomer the first inbox that it asks for becomes its own. */
  maySubscribe(login: Login, topic: string): boolean {
    const inbox = this.#inboxOwner(topic);
    if (inbox === undefined) return false;
    if (login.kind === 'device') return inbox === login.device;
    const claimed = this.#claimed.get(login.name);
    if (claimed !== undefined) return inbox === claimed;
    if (this.#isTaken(inbox)) return false;
    this.#claimed.set(login.name, inbox);
    return true;
  }

  /** By name, as the broker's memory asks; never claims anything. */
  mayRead(name: string, topic: string): boolean {
    const login = this.#logins.get(name);
    const inbox = this.#inboxOwner(topic);
    if (login === undefined || inbox === undefined) return false;
    return inbox === (login.kind === 'device' ? login.device : this.#claimed.get(name));
  }

  #inboxOwner(topic: string): DeviceId | undefined {
    return topic.startsWith(this.prefix) ? parseDeviceId(topic.slice(this.prefix.length)) : undefined;
  }

  /**
   * A member's inbox is not: a device that comes back, or whose pairing was interrupted at its very end, has only
   * the invite's login to learn with that it is a member. Whoever else asked for it would read ciphertext.
   */
  #isTaken(inbox: DeviceId): boolean {
    for (const login of this.#logins.values()) {
      if (login.kind === 'invite' && inbox === login.inviter) return true;
    }
    for (const other of this.#claimed.values()) if (other === inbox) return true;
    return false;
  }
}
