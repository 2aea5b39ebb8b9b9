import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../brokers/loopback.ts';
import { deviceLogin, House, inbox, invite, LAPTOP, NEWCOMER, PHONE, passwordOf, TABLET } from './guests.ts';

let house: House;
beforeEach(async () => {
  house = await House.open();
});
afterEach(() => house.close());

describe('the embedded broker lets in', () => {
  it('nobody without a login, with an unknown one or with a wrong password', async () => {
    const guests = [
      house.call('laptop', { password: 'wrong' }),
      house.call('nobody'),
      house.call('laptop', { password: passwordOf('phone') }),
      house.call('laptop', { username: '', password: '' }),
      house.call('', { username: 'laptop', password: Buffer.alloc(0) }),
    ];
    for (const guest of guests) {
      await eventually(() => guest.closed, 'hung up');
      expect(guest.refusal).toBe(4);
    }
    expect(house.broker.status().refused).toBe(5);
    await eventually(() => house.broker.status().strangers === 0, 'nobody is left');
  });

  it('one connection for each login, and a failed login disturbs nobody', async () => {
    const laptop = await house.guest('laptop');
    await laptop.subscribe(inbox(LAPTOP));
    const thief = house.call('laptop', { password: 'wrong', clean: true });
    await eventually(() => thief.closed, 'hung up');
    expect(laptop.closed).toBe(false);
    await laptop.publish(inbox(LAPTOP), 'still here');
    await eventually(() => laptop.heard.length === 1, 'a message');
    await house.guest('laptop', { clientId: 'another id' });
    await eventually(() => laptop.closed, 'replaced');
    expect(house.broker.status().clients).toBe(1);
  });

  it('nobody into the session of another, whatever client id is claimed', async () => {
    const phone = await house.guest('phone', { clientId: 'the-phone' });
    await phone.subscribe(inbox(PHONE));
    await phone.leave();
    const laptop = await house.guest('laptop');
    await laptop.publish(inbox(PHONE), 'for the phone only');
    for (const clientId of ['the-phone', 'phone']) {
      const tablet = await house.guest('tablet', { clientId });
      await tablet.publish(inbox(TABLET), 'x');
      expect(tablet.heard).toEqual([]);
      const wiping = await house.guest('tablet', { clientId, clean: true });
      await wiping.leave();
    }
    const back = await house.guest('phone', { clientId: 'the-phone' });
    await eventually(() => back.heard.length === 1, 'its message');
  });
});

describe('a member device at the embedded broker', () => {
  it('reads its own inbox and nothing else', async () => {
    const tablet = await house.guest('tablet');
    const filters = ['#', '+', '/mesh/#', '/mesh/+', '+/+/+', inbox(PHONE), '$SYS/#', `${inbox(TABLET)}/#`];
    for (const filter of filters) expect(await tablet.subscribe(filter)).toEqual([128]);
    expect(await tablet.subscribe(`$share/x/${inbox(PHONE)}`)).toEqual([128]);
    expect(await tablet.subscribe(inbox(TABLET))).toEqual([1]);
    const laptop = await house.guest('laptop');
    await laptop.publish(inbox(PHONE), 'secret');
    await laptop.publish(inbox(TABLET), 'hello');
    await eventually(() => tablet.heard.length > 0, 'its own');
    expect(tablet.heard).toEqual([`${inbox(TABLET)} hello`]);
  });

  it('gains nothing by asking for more together with its own, neither now nor after a reconnect', async () => {
    const tablet = await house.guest('tablet');
    expect(await tablet.subscribe(inbox(TABLET), '#', inbox(PHONE), '/mesh/+')).toEqual([1, 128, 128, 128]);
    const laptop = await house.guest('laptop');
    await laptop.publish(inbox(PHONE), 'while here');
    await tablet.leave();
    await laptop.publish(inbox(PHONE), 'while away');
    await laptop.publish(inbox(TABLET), 'its own');
    expect(house.broker.status().queuedPackets).toBe(1);
    const again = await house.guest('tablet');
    await laptop.publish(inbox(PHONE), 'back again');
    await again.publish(inbox(TABLET), 'last');
    await eventually(() => again.heard.length >= 2, 'its own');
    expect([...tablet.heard, ...again.heard]).toEqual([`${inbox(TABLET)} its own`, `${inbox(TABLET)} last`]);
  });

  const forbidden: readonly (readonly [
    string,
    string,
    { readonly retain?: boolean; readonly qos?: 1 | 2 },
  ])[] = [
    ['with the retain flag', inbox(PHONE), { retain: true }],
    ['to $SYS', '$SYS/broker/clients', {}],
    ['to another topic', 'weather', {}],
    ['below an inbox', `${inbox(PHONE)}/x`, {}],
    ['to something like an inbox', `/mesh/${PHONE.toUpperCase()}`, {}],
    ['to the prefix', '/mesh/', {}],
    ['with QoS 2', inbox(PHONE), { qos: 2 }],
  ];
  for (const [how, topic, more] of forbidden) {
    it(`is hung up on for publishing ${how}`, async () => {
      const phone = await house.guest('phone');
      await phone.subscribe(inbox(PHONE));
      const tablet = await house.guest('tablet');
      expect(await tablet.publish(topic, 'x', more)).toBe(false);
      const laptop = await house.guest('laptop');
      await laptop.publish(inbox(PHONE), 'end');
      await eventually(() => phone.heard.length > 0, 'the end');
      expect(phone.heard).toEqual([`${inbox(PHONE)} end`]);
      expect(house.broker.status().refused).toBe(1);
    });
  }

  it('leaves no will behind, not even for an inbox', async () => {
    const phone = await house.guest('phone');
    await phone.subscribe(inbox(PHONE));
    const will = { topic: inbox(PHONE), payload: Buffer.from('boo'), qos: 1 as const, retain: true };
    const tablet = await house.guest('tablet', { will });
    tablet.client.stream.destroy();
    await eventually(() => house.broker.status().clients === 1, 'the tablet is gone');
    const laptop = await house.guest('laptop');
    await laptop.publish(inbox(PHONE), 'end');
    await eventually(() => phone.heard.length > 0, 'the end');
    expect(phone.heard).toEqual([`${inbox(PHONE)} end`]);
  });

  it('is hung up on for a packet above the limit, before it is kept', async () => {
    await house.close();
    house = await House.open({ packetBytes: 10_000 });
    const tablet = await house.guest('tablet');
    expect(await tablet.publish(inbox(PHONE), Buffer.alloc(9000))).toBe(true);
    expect(await tablet.publish(inbox(PHONE), Buffer.alloc(11_000))).toBe(false);
  });

  it('has its login taken away: hung up on at once, and let in no more', async () => {
    const laptop = await house.guest('laptop');
    const thief = await house.guest('tablet');
    house.broker.removeLogin('tablet');
    await eventually(() => thief.closed, 'hung up');
    const again = house.call('tablet');
    await eventually(() => again.closed, 'hung up again');
    expect(again.refusal).toBe(4);
    expect(laptop.closed).toBe(false);
  });

  it('leaves nothing behind when its login is taken away while it is not there', async () => {
    const tablet = await house.guest('tablet');
    await tablet.subscribe(inbox(TABLET));
    await tablet.leave();
    const laptop = await house.guest('laptop');
    await laptop.publish(inbox(TABLET), 'never read');
    expect(house.broker.status().queuedPackets).toBe(1);
    house.broker.removeLogin('tablet');
    expect(house.broker.status().queuedPackets).toBe(0);
    await laptop.publish(inbox(TABLET), 'nor kept');
    expect(house.broker.status().queuedBytes).toBe(0);
    house.broker.addLogin(deviceLogin('tablet', TABLET));
    const back = await house.guest('tablet');
    await back.publish(inbox(LAPTOP), 'x');
    expect(back.heard).toEqual([]);
  });

  it('with a changed password is hung up on, and keeps its queue', async () => {
    const phone = await house.guest('phone');
    await phone.subscribe(inbox(PHONE));
    const laptop = await house.guest('laptop');
    house.broker.addLogin({
      ...deviceLogin('phone', PHONE),
      passwordHash: deviceLogin('x', PHONE).passwordHash,
    });
    await eventually(() => phone.closed, 'hung up');
    await laptop.publish(inbox(PHONE), 'kept');
    house.broker.addLogin(deviceLogin('phone', PHONE));
    const back = await house.guest('phone');
    await eventually(() => back.heard.length === 1, 'kept');
  });

  it('can be added while the broker runs', async () => {
    house.broker.addLogin(deviceLogin('pi', NEWCOMER));
    const pi = await house.guest('pi');
    expect(await pi.subscribe(inbox(NEWCOMER))).toEqual([1]);
  });
});

describe('an invite’s login at the embedded broker', () => {
  it('publishes to the inviter only', async () => {
    const laptop = await house.guest('laptop');
    await laptop.subscribe(inbox(LAPTOP));
    const newcomer = await house.guest('invite');
    expect(await newcomer.publish(inbox(LAPTOP), 'may I')).toBe(true);
    await eventually(() => laptop.heard.length === 1, 'asked');
    expect(await newcomer.publish(inbox(PHONE), 'psst')).toBe(false);
  });

  it('reads one inbox, the first that it asks for, and never the inviter’s', async () => {
    house.broker.addLogin(invite('second'));
    const newcomer = await house.guest('invite');
    expect(await newcomer.subscribe(inbox(LAPTOP), '#')).toEqual([128, 128]);
    expect(await newcomer.subscribe(inbox(NEWCOMER))).toEqual([1]);
    expect(await newcomer.subscribe(inbox('a'.repeat(32)))).toEqual([128]);
    const again = await house.guest('invite', { clientId: 'again' });
    expect(await again.subscribe(inbox('a'.repeat(32)))).toEqual([128]);
    expect(await again.subscribe(inbox(NEWCOMER))).toEqual([1]);
    const other = await house.guest('second');
    expect(await other.subscribe(inbox(NEWCOMER))).toEqual([128]);
  });

  it('may ask for the inbox of a member, which it may be already without knowing', async () => {
    const newcomer = await house.guest('invite');
    expect(await newcomer.subscribe(inbox(PHONE))).toEqual([1]);
  });
});
