/** What happens to an invite in time: it is watched, it ends, and both ends are told. */
import type { DeviceId } from '../../entities/device-id.ts';
import type { AbortReason } from '../../entities/pairing/abort.ts';
import type { News } from '../messaging/office.ts';
import type { Claim, HeldInvite, InviteBook, InvitingOffice } from './invite-book.ts';

export interface InviteLife {
  /** Hands packets to the transport once what they say is durable. */
  publish(to: DeviceId, packets: readonly Uint8Array[]): void;
  tell(invite: HeldInvite, what: InviteNews['what'], reason?: AbortReason): void;
  /** Lets it expire in time. */
  watch(invite: HeldInvite): void;
  unwatch(invite: HeldInvite): void;
  /** Ends it as expired, unless the code was typed already. */
  expire(invite: HeldInvite): void;
  /** Ends all that is over by now; a timer may be late, and the clock may have been put forward. */
  expireDue(): void;
  /** For good, with a word to whoever uses it. */
  end(invite: HeldInvite, reason: AbortReason): void;
  closeSession(claim: Claim): void;
  stop(): void;
}

/** What of the news is about the invite itself is filled in where it is told. */
type InviteNews = Extract<News, { readonly kind: 'invite' }>;

export function isLive({ state }: HeldInvite): boolean {
  return state === 'open' || state === 'claimed' || state === 'verified' || state === 'approved';
}

export function createInviteLife(office: InvitingOffice, book: InviteBook): InviteLife {
  const { clock, transport, account, cycle } = office;
  const timers = new Map<string, () => void>();

  function publish(to: DeviceId, packets: readonly Uint8Array[]): void {
    cycle.afterwards(() => {
      // What gets lost on the way is asked for again.
      for (const packet of packets) void transport.publish(to, packet);
    });
  }

  function tell(invite: HeldInvite, what: InviteNews['what'], reason?: AbortReason): void {
    const { id, claim } = invite;
    const who = claim === undefined ? {} : { device: claim.newcomer.id, name: claim.name };
    const why = reason === undefined ? {} : { reason };
    cycle.afterwards(() => office.tell({ kind: 'invite', id, what, ...who, ...why }));
  }

  function watch(invite: HeldInvite): void {
    const left = Math.max(0, invite.deadline - clock.elapsed());
    timers.set(
      invite.id,
      clock.after(left, () => expire(invite)),
    );
  }

  function expire(invite: HeldInvite): void {
    const { state } = invite;
    if (state === 'open' || state === 'claimed' || state === 'verified') end(invite, 'expired');
  }

  function expireDue(): void {
    for (const invite of book.all()) {
      if (book.isExpired(invite)) expire(invite);
      if (invite.state === 'approved' && book.isForsaken(invite)) end(invite, 'expired');
    }
  }

  function unwatch(invite: HeldInvite): void {
    timers.get(invite.id)?.();
    timers.delete(invite.id);
  }

  function end(invite: HeldInvite, reason: AbortReason): void {
    const { claim } = invite;
    unwatch(invite);
    if (invite.state === 'open') {
      account.burnOneTimeKey(invite.link.oneTimeKey);
      office.accountChanged();
    }
    invite.state = 'ended';
    invite.reason = reason;
    invite.endedAt = Math.floor(clock.now());
    if (claim !== undefined) {
      // Only the person at this end can cancel: that says nothing about who holds the link.
      if (reason !== 'cancelled') book.failed();
      closeSession(claim);
      claim.answer = [];
      publish(claim.newcomer.id, [invite.packets.abort(account, claim.newcomer.id, reason)]);
    }
    book.changed(invite);
    book.sweep();
    tell(invite, 'ended', reason);
  }

  function closeSession(claim: Claim): void {
    claim.session?.dispose();
    claim.session = undefined;
  }

  return {
    publish,
    tell,
    watch,
    unwatch,
    expire,
    expireDue,
    end,
    closeSession,
    stop() {
      for (const cancel of timers.values()) cancel();
      timers.clear();
    },
  };
}
