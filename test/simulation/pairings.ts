/**
 * People who pair devices as the program asks them to: a link from one, a code from the screen of the other, typed at the
 * first. They mistype it, decline, change their minds, forget about it. Whatever is said between the two goes
 * through Mallory, while everything else goes on; a person acts only when it is that person's turn.
 */
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { decodeInviteLink } from '../../src/entities/pairing/link.ts';
import type { JoinResult } from '../../src/usecases/pairing/joining.ts';
import { isPowerCut, type SimDevice } from './sim-device.ts';
import type { Stage } from './stage.ts';

const MINUTE = 60_000;
/** Longer than any invite lives here, and both ends know it by then. */
const PATIENCE = 20 * MINUTE;

/** One device that was shown one link. */
export interface Pairing {
  readonly inviter: SimDevice;
  readonly newcomer: SimDevice;
  readonly invite: string;
  readonly expiresAt: number;
  readonly isFresh: boolean;
  /** The person does not come back to it. */
  readonly isForgotten: boolean;
  /** The code from the newcomer's screen, once it was typed where the newcomer was waiting to be let in. */
  typed: string | undefined;
  /** The inviter has said that the newcomer is let in. */
  approved: boolean;
  /** The person at the newcomer did not want to any more, or has waited for too long. */
  called: 'off' | 'in vain' | undefined;
  result: JoinResult | undefined;
  /** How late it got by the clock on the wall. */
  latest: number;
}

export function createPairings(stage: Stage, fail: (problem: string) => void) {
  const { seeded, clock, devices, spares, records } = stage;
  const { pairings } = records;
  const shown: { inviter: SimDevice; invite: string; link: string; newcomers: readonly SimDevice[] }[] = [];
  let fairSince: number | undefined;

  const open = (): Pairing[] => pairings.filter(({ result }) => result === undefined);

  /** The power may go while a device works; everything else is a defect. */
  function tolerate(what: string): (error: unknown) => void {
    return (error) => {
      if (!isPowerCut(error)) fail(`${what} failed: ${error instanceof Error ? error.stack : String(error)}`);
    };
  }

  /** The person asks `inviter` for a link, and takes it to the newcomers once it is there. */
  function invite(inviter: SimDevice, newcomers: readonly SimDevice[]): void {
    const ttl = seeded.pick([1, 10]) * MINUTE;
    inviter.messenger?.inviting.create({ ttl, broker: { url: 'mqtt://localhost:1883' } }).then((made) => {
      if ('ok' in made) shown.push({ inviter, invite: made.ok.id, link: made.ok.link, newcomers });
      else if (made.refused === 'link-too-long') fail('an invite was refused');
    }, tolerate('an invite'));
    stage.say('invite', inviter.name);
  }

  async function bringLinks(): Promise<void> {
    for (const { inviter, invite, link, newcomers } of shown.splice(0)) {
      const read = decodeInviteLink(nodePrimitives.hash, link);
      if ('refused' in read) return fail(`P1: a link that was made is refused as ${read.refused}`);
      for (const newcomer of newcomers) {
        const isFresh = spares.includes(newcomer);
        if (!isFresh && newcomer.messenger?.farewell.standing() !== 'void') continue;
        if (isFresh) {
          spares.splice(spares.indexOf(newcomer), 1);
          devices.push(newcomer);
        } else {
          stage.crash(newcomer);
        }
        const { expiresAt } = read.ok;
        const isForgotten = seeded.chance(0.1);
        const person = { isForgotten, typed: undefined, approved: false, called: undefined };
        const end = { result: undefined, latest: clock.now() };
        pairings.push({ inviter, newcomer, invite, expiresAt, isFresh, ...person, ...end });
        newcomer.intend(read.ok);
        stage.say('join', inviter.name, newcomer.name);
        await stage.start(newcomer);
      }
    }
  }

  /** The newcomer waits at the inviter for its code, and the person has it before their eyes. */
  function codeFor({ inviter, newcomer, invite }: Pairing): string | undefined {
    const requests = inviter.stolen ? [] : (inviter.messenger?.inviting.requests() ?? []);
    const waits = requests.some(({ id, deviceId }) => id === invite && deviceId === newcomer.party.id);
    return waits ? newcomer.code : undefined;
  }

  function type(pairing: Pairing, code: string): void {
    const { inviter, newcomer, invite } = pairing;
    pairing.typed = code;
    records.asked.add(newcomer.party.id);
    inviter.messenger?.inviting.approve(`${code.slice(0, 4)} ${code.slice(4)}`, invite).then((approved) => {
      if ('ok' in approved) pairing.approved = true;
      else fail(`P1: the right code was refused as ${approved.refused}`);
    }, tolerate('typing a code'));
    stage.say('typed', inviter.name, newcomer.name);
  }

  function mistype({ inviter, invite }: Pairing, code: string, expected: string): void {
    inviter.messenger?.inviting.approve(code, invite).then((approved) => {
      const said = 'ok' in approved ? 'right' : approved.refused;
      if (said !== expected) fail(`P1: a code that is ${expected} was taken as ${said}`);
    }, tolerate('typing a wrong code'));
    stage.say('mistyped', inviter.name);
  }

  function decline({ inviter, invite }: Pairing): void {
    inviter.messenger?.inviting.decline(invite).then(() => undefined, tolerate('declining'));
    stage.say('declined', inviter.name);
  }

  function callOff(pairing: Pairing, called: 'off' | 'in vain'): void {
    if (pairing.newcomer.joining === undefined) return;
    pairing.called = called;
    pairing.newcomer.joining.cancel().then(() => undefined, tolerate('calling off'));
    stage.say('called', called, pairing.newcomer.name);
  }

  /** What a person does who has come to look. */
  function look(pairing: Pairing): void {
    const code = codeFor(pairing);
    const weight = code === undefined ? 0 : 1;
    const comparing = { type: 15 * weight, mistype: weight, babble: weight, decline: weight };
    const deed = seeded.weighted({ callOff: 0.05, cancel: 0.03, wait: 3, ...comparing });
    switch (deed) {
      case 'callOff':
        return callOff(pairing, 'off');
      case 'cancel':
        pairing.inviter.messenger?.inviting.cancel().then(() => undefined, tolerate('cancelling'));
        return stage.say('cancelled', pairing.inviter.name);
      case 'wait':
        return;
      case 'decline':
        return decline(pairing);
    }
    if (code === undefined) throw new Error('nothing to type');
    const last = (Number(code.slice(-1)) + 1 + seeded.below(9)) % 10;
    if (deed === 'type') type(pairing, code);
    else if (deed === 'mistype') mistype(pairing, `${code.slice(0, -1)}${last}`, 'code-wrong');
    else mistype(pairing, code.slice(0, -1), 'code-malformed');
  }

  return {
    invite,

    /** What has come about by itself is taken note of: links that are there, joins that have ended. */
    async tend(): Promise<void> {
      await bringLinks();
      for (const pairing of open()) {
        const { newcomer, isFresh } = pairing;
        pairing.latest = Math.max(pairing.latest, clock.now());
        const { joined } = newcomer;
        if (joined === undefined) continue;
        newcomer.joined = undefined;
        pairing.result = joined;
        stage.say('joined', newcomer.name, 'ok' in joined ? 'a member' : joined.refused);
        if ('refused' in joined && isFresh) {
          // Switched off until somebody shows it another link, and with it whatever was to happen to its power.
          newcomer.disk.cutPower();
          devices.splice(devices.indexOf(newcomer), 1);
          spares.push(newcomer);
        } else if (!newcomer.running) {
          await stage.start(newcomer);
        }
      }
    },

    attend(): void {
      const some = open().filter(({ isForgotten }) => !isForgotten);
      if (some.length > 0) look(seeded.pick(some));
    },

    isOpen: (): boolean => open().length > 0,

    /** At the end people finish what they have begun; what was forgotten ends by itself, or in vain. */
    conclude(): void {
      fairSince ??= clock.elapsed();
      for (const pairing of open()) {
        const code = codeFor(pairing);
        if (clock.elapsed() - fairSince > PATIENCE) {
          if (pairing.called !== 'in vain') callOff(pairing, 'in vain');
        } else if (code !== undefined && !pairing.isForgotten) {
          if (seeded.chance(0.15)) decline(pairing);
          else type(pairing, code);
        }
      }
    },
  };
}

export type Pairings = ReturnType<typeof createPairings>;
