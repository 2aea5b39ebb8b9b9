/**
 * Inviting a device, and joining a mesh: both ends of a pairing, as a program or a person calls them.
 *
 * Long, because every way in which a pairing ends is turned into its error here, for both ends alike.
 */
import { type DeviceId, fingerprint } from '../../entities/device-id.ts';
import { type ErrorCode, MeshError } from '../../entities/errors.ts';
import type { AbortReason } from '../../entities/pairing/abort.ts';
import { decodeInviteLink, type InviteLink, type LinkBroker } from '../../entities/pairing/link.ts';
import { parseCode } from '../../entities/pairing/transcript.ts';
import { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import type { News } from '../../usecases/messaging/office.ts';
import { checkLink } from '../../usecases/pairing/check-link.ts';
import { LONGEST_TTL } from '../../usecases/pairing/invite-book.ts';
import {
  DEFAULT_INVITE_TTL,
  type InviteRefusal,
  type JoinRequest,
  SHORTEST_TTL,
} from '../../usecases/pairing/inviting.ts';
import { isObject, type JsonObject, toRpcError } from '../rpc/protocol.ts';
import type { Caller, MethodTable } from '../rpc/server.ts';
import { nameOf } from './devices.ts';
import { flag, optionalCount, optionalText, text } from './params.ts';
import type { ApiPorts, JoinEvent, JoinOptions } from './ports.ts';

/** How long a device whose code was right has to take its place before the caller is told that it has not. */
const TAKING_PLACE = 60_000;
/** How long the answer to our first message may take. */
const ABOUT_TO_ASK = 5000;
/** How long the broker has to take over that there is a new member. */
const SPREADING = 5000;

type InviteNews = Extract<News, { readonly kind: 'invite' }>;

export function invitingMethods(ports: ApiPorts): MethodTable {
  const { messenger, line, clock, self, settings } = ports;
  const { inviting } = messenger;

  /** Tells the caller how an invite goes on, until it is over or the caller has gone. */
  function follow(caller: Caller, inviteId: string): void {
    const stopNews = messenger.listen((news) => {
      if (news.kind !== 'invite' || news.id !== inviteId) return;
      const event = eventOf(ports, news);
      if (isOver(news)) stop();
      if (event === undefined) return;
      const say = (): void => caller.notify('invite', { inviteId, ...event });
      if (news.what === 'joined') void spread().then(say);
      else say();
    });
    let told: ErrorCode | undefined;
    const look = (): void => {
      const { error } = line.state();
      if (error !== undefined && error.code !== told) {
        caller.notify('invite', { inviteId, event: 'trouble', error: errorOf(error) });
      }
      told = error?.code;
    };
    const stopWatch = line.watch(look);
    const stop = (): void => {
      stopNews();
      stopWatch();
    };
    caller.onGone(stop);
    look();
  }

  /** A one-shot command ends with the news: by then the broker has what the others have to know. */
  function spread(): Promise<void> {
    return ports.host === 'one-shot' ? messenger.handedOver(SPREADING) : Promise.resolve();
  }

  /** What is said about the login that the new device needs at the broker. */
  async function loginIn({ login, derivedLogin }: LinkBroker): Promise<string> {
    if (derivedLogin === true) return 'made';
    if (login !== undefined) return 'shared';
    return (await settings.get('broker-user')) === undefined ? 'none' : 'withheld';
  }

  /** Somebody has the link and is about to ask: that takes a moment, also where we have only just connected. */
  function requestsSoon(): Promise<readonly JoinRequest[]> {
    const now = inviting.requests();
    const live = inviting.live();
    if (now.length > 0 || live?.state !== 'claimed') return Promise.resolve(now);
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        stop();
        resolve(inviting.requests());
      };
      const stop = messenger.listen((news) => {
        if (news.kind === 'invite' && news.id === live.id) end();
      });
      const cancel = clock.after(ABOUT_TO_ASK, end);
    });
  }

  /** Until the device of this invite is a member. Throws how it ended otherwise, or that it has not in time. */
  function untilJoined(
    id: string,
    patience: number,
  ): { readonly outcome: Promise<JsonObject>; stop(): void } {
    let stop = (): void => undefined;
    const outcome = new Promise<JsonObject>((resolve, reject) => {
      const stopNews = messenger.listen((news) => {
        if (news.kind !== 'invite' || news.id !== id || !isOver(news)) return;
        stop();
        if (news.what === 'joined') resolve(joinedEvent(news));
        else reject(endedWith(news.reason));
      });
      const cancel = clock.after(patience, () => {
        stop();
        reject(line.state().error ?? new MeshError('approve-open'));
      });
      stop = () => {
        stopNews();
        cancel();
      };
    });
    // Where the code is wrong, the answer to that says so first.
    outcome.catch(() => undefined);
    return { outcome, stop };
  }

  return {
    async invite(params, caller) {
      const ttl = optionalCount(params, 'ttl') ?? DEFAULT_INVITE_TTL;
      const share = flag(params, 'shareBrokerLogin');
      const wait = flag({ wait: params.wait ?? true }, 'wait');
      if (ttl < SHORTEST_TTL || ttl > LONGEST_TTL) throw new MeshError('invite-ttl-invalid');
      // Nobody stays here who could answer.
      if (!wait && ports.host === 'one-shot') throw new MeshError('invite-needs-daemon');
      await ports.online();
      if (messenger.farewell.standing() === 'void') throw new MeshError('device-void');
      if (messenger.log.isBehind()) throw new MeshError('device-behind');
      const { error, permanent } = line.state();
      if (permanent && error !== undefined) throw error;
      const broker = await ports.inviteBroker(share);
      // Such a login is named after its device, and good for nobody else.
      const isGuest = broker.derivedLogin !== true && (await settings.get('broker-user')) === self;
      if (isGuest) throw new MeshError('invite-not-host');
      const invite = await inviting.create({ ttl, broker });
      if ('refused' in invite) throw inviteRefusal(invite.refused);
      const { id, link, expiresAt } = invite.ok;
      if (wait) follow(caller, id);
      const login = await loginIn(broker);
      return { inviteId: id, link, expiresAt, fingerprint: fingerprint(self), brokerLogin: login };
    },

    /** For a caller whose connection ended in between: nothing of the invite is lost with it. */
    async 'invite.watch'(params, caller) {
      const inviteId = text(params, 'inviteId');
      await ports.online();
      const live = inviting.live();
      if (live?.id !== inviteId) throw new MeshError('no-invite');
      follow(caller, inviteId);
      const request = inviting.requests().find(({ id }) => id === inviteId);
      if (request !== undefined) caller.notify('invite', { inviteId, ...claimedEvent(request) });
      return { inviteId, expiresAt: live.expiresAt, fingerprint: fingerprint(self) };
    },

    async 'invite.cancel'(params) {
      const wanted = optionalText(params, 'inviteId');
      await ports.online();
      const live = inviting.live();
      if (live === undefined || (wanted !== undefined && wanted !== live.id))
        throw new MeshError('no-invite');
      if (!(await inviting.cancel())) throw new MeshError('no-invite');
      return { inviteId: live.id };
    },

    async requests() {
      await ports.online();
      return (await requestsSoon()).map(describe);
    },

    async approve(params) {
      const code = text(params, 'code');
      const wanted = optionalText(params, 'request');
      const patience = optionalCount(params, 'timeout') ?? TAKING_PLACE;
      if (parseCode(code) === undefined) throw new MeshError('code-malformed');
      await ports.online();
      const [first] = await requestsSoon();
      const live = inviting.live();
      // Asked for a second time: the code was right before.
      const before = first === undefined && live?.state === 'approved' ? live.id : undefined;
      const id = wanted ?? first?.id ?? before;
      if (id === undefined) throw new MeshError('no-request');
      const joining = untilJoined(id, patience);
      try {
        const result = await inviting.approve(code, id);
        if ('refused' in result && (result.refused !== 'no-request' || id !== before)) {
          throw new MeshError(result.refused);
        }
        const joined = await joining.outcome;
        await spread();
        return joined;
      } finally {
        joining.stop();
      }
    },

    async decline(params) {
      const request = optionalText(params, 'request');
      await ports.online();
      await requestsSoon();
      const result = await inviting.decline(request);
      if ('refused' in result) throw new MeshError(result.refused);
      return describe(result.ok);
    },
  };
}

const isOver = ({ what }: InviteNews): boolean => what === 'joined' || what === 'ended';

function eventOf({ messenger }: ApiPorts, news: InviteNews): JsonObject | undefined {
  if (news.what === 'joined') return joinedEvent(news);
  if (news.what === 'ended') return { event: 'ended', error: errorOf(endedWith(news.reason)) };
  // That somebody has the link is no news yet: who it is, is known once its commitment was opened.
  const request = messenger.inviting.requests().find(({ id }) => id === news.id);
  return request === undefined ? undefined : claimedEvent(request);
}

const describe = ({ id, deviceId, name, fingerprint }: JoinRequest): JsonObject => ({
  requestId: id,
  deviceId,
  name,
  fingerprint,
});

const claimedEvent = (request: JoinRequest): JsonObject => ({ event: 'claimed', ...describe(request) });

const joinedEvent = ({ device, name }: InviteNews): JsonObject => ({
  event: 'joined',
  deviceId: device,
  name,
});

/** As in an answer that is an error, so that a client reads both alike. */
const errorOf = (error: MeshError): JsonObject => {
  const { code, message, data } = toRpcError(error);
  return { code, message, data: { ...data } };
};

/** What the end of an invite means to the person who made it. */
const ENDS: Readonly<Record<AbortReason, ErrorCode>> = {
  expired: 'invite-expired',
  used: 'invite-used',
  cancelled: 'invite-cancelled',
  'wrong-code': 'code-wrong',
  declined: 'invite-declined',
  removed: 'newcomer-removed',
  malformed: 'pairing-failed',
  version: 'pairing-version',
  'gave-up': 'newcomer-gave-up',
  refused: 'newcomer-refused',
  other: 'pairing-failed',
};

const endedWith = (reason: AbortReason | undefined): MeshError =>
  new MeshError(reason === undefined ? 'pairing-failed' : ENDS[reason]);

function inviteRefusal(reason: InviteRefusal): MeshError {
  return new MeshError(reason);
}

export function joiningMethods(ports: ApiPorts): MethodTable {
  const { hash, clock, self, membership } = ports;

  /** How to end what is under way, and whether somebody wants that. */
  let underWay: { isUnwanted: boolean; quit: () => void } | undefined;

  function giveUp(attempt: typeof underWay): void {
    if (attempt === undefined) return;
    attempt.isUnwanted = true;
    attempt.quit();
  }

  /** Throws what the link shows to be wrong by itself. */
  function readLink(params: JsonObject): InviteLink {
    const link = parseLink(hash, text(params, 'link'));
    const fault = checkLink(link, clock.now(), self, membership());
    if (fault !== undefined) throw new MeshError(fault);
    return link;
  }

  return {
    /** Who invites, for people to see before anything is done. Asks nothing of any network. */
    async 'join.look'(params) {
      const own = membership().roster.devices.get(self);
      const name = own === undefined ? self : nameOf(own);
      return { ...describeLink(readLink(params)), self: { deviceId: self, name } };
    },

    /** Goes on until it is answered or the caller goes: then the person does not want to any more. */
    async join(params, caller) {
      const link = readLink(params);
      let trouble: ErrorCode | undefined;
      const told = (event: JoinEvent): void => {
        if (event.kind === 'trouble') trouble = event.error.code;
        caller.notify('join', joinNotification(event));
      };
      const attempt = { isUnwanted: false, quit: (): void => undefined };
      underWay ??= attempt;
      caller.onGone(() => giveUp(attempt));
      try {
        const joined = await ports.join(link, joinOptions(params), told, (quit) => {
          attempt.quit = quit;
          if (attempt.isUnwanted) quit();
        });
        return { deviceId: self, members: joined.members };
      } catch (error) {
        throw turnedAway(error, trouble, link);
      } finally {
        if (underWay === attempt) underWay = undefined;
      }
    },

    /** The answer to `join` says how that went: it may have been too late. */
    async 'join.cancel'() {
      giveUp(underWay);
      return null;
    },
  };
}

/**
 * A broker that does not let us in is another matter than one that is not there. The inviter's own has a login for
 * each invite as long as that lives, and an inbox for the first who comes with it.
 */
function turnedAway(error: unknown, trouble: ErrorCode | undefined, { broker }: InviteLink): unknown {
  if (!(error instanceof MeshError) || error.code !== 'join-no-broker') return error;
  const own = broker.derivedLogin === true;
  switch (trouble) {
    case 'broker-refused-login':
    case 'broker-not-authorised':
      return new MeshError(own ? 'invite-over' : 'join-no-login', {}, error);
    case 'broker-refused-subscription':
      return own ? new MeshError('invite-used', {}, error) : error;
    default:
      return error;
  }
}

/** Throws `link-…`: whatever the keys in it are, it is a link that no program of ours has made. */
export function parseLink(hash: ApiPorts['hash'], pasted: string): InviteLink {
  const link = decodeInviteLink(hash, pasted);
  if ('ok' in link) return link.ok;
  const { refused } = link;
  throw new MeshError(
    refused === 'key-malformed' || refused === 'key-low-order' ? 'link-malformed' : refused,
  );
}

/** What people and programs may see of a link: nothing of its secret, and no login. */
export function describeLink({ inviter, name, broker, expiresAt }: InviteLink): {
  readonly deviceId: DeviceId;
  readonly name: string;
  readonly fingerprint: string;
  readonly broker: string;
  readonly expiresAt: number;
} {
  return {
    deviceId: inviter.id,
    name,
    fingerprint: fingerprint(inviter.id),
    broker: broker.url,
    expiresAt,
  };
}

function joinOptions(params: JsonObject): JoinOptions {
  const ca = optionalText(params, 'ca');
  const { login } = params;
  if (login !== undefined && login !== null && !isObject(login)) {
    throw new MeshError('rpc-params-invalid', { name: 'login' });
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(isObject(login)
      ? {
          login: {
            user: text(login, 'user'),
            password: new Secret(utf8(optionalText(login, 'password') ?? '')),
          },
        }
      : {}),
  };
}

function joinNotification(event: JoinEvent): JsonObject {
  if (event.kind === 'code') {
    const { code, fingerprint } = event;
    return { event: 'code', code, fingerprint };
  }
  return { event: 'trouble', error: errorOf(event.error) };
}
