import { describe, expect, it } from 'vitest';
import { allowsAnswer, complaintAbout, type End } from './verdict.ts';

const end = (over: Partial<End>): End => ({
  status: null,
  signal: null,
  code: undefined,
  killed: false,
  disk: 'sound',
  restarted: false,
  ...over,
});
const KILLED = { signal: 'SIGKILL', killed: true } as const;

describe('the end of a process', () => {
  it.each([
    ['a kill by the campaign', end(KILLED), 'daemon'],
    ['a command that is done', end({ status: 0 }), 'command'],
    [
      'an answer that came when the message had expired',
      end({ status: 1, code: 'delivery-failed' }),
      'command',
    ],
    [
      'a wait for a daemon that did not get to its feet',
      end({ status: 3, code: 'daemon-silent', restarted: true }),
      'command',
    ],
    ['the right code on a full disk', end({ status: 3, code: 'store-full', disk: 'full' }), 'daemon'],
    [
      'the right code on a read-only one',
      end({ status: 3, code: 'store-write-failed', disk: 'read-only' }),
      'daemon',
    ],
  ] as const)('may be %s', (_, one, kind) => {
    expect(complaintAbout(one, kind)).toBeUndefined();
  });

  it.each([
    ['a wait for a daemon that was up all the time', end({ status: 3, code: 'daemon-silent' }), 'command'],
    ['a kill by somebody else', end({ signal: 'SIGKILL' }), 'daemon'],
    ['a crash, though the campaign was about to kill it', end({ signal: 'SIGSEGV', killed: true }), 'daemon'],
    ['a daemon that nobody has told to stop', end({ status: 0 }), 'daemon'],
    ['a code without the trouble for it', end({ status: 3, code: 'store-full' }), 'command'],
    ['another code than that of the disk', end({ status: 3, code: 'store-damaged', disk: 'full' }), 'daemon'],
    ['a full disk that is none', end({ status: 3, code: 'store-full', disk: 'read-only' }), 'daemon'],
    ['the right code with the wrong status', end({ status: 1, code: 'store-full', disk: 'full' }), 'daemon'],
    ['no code at all', end({ status: 3, disk: 'full' }), 'command'],
    ['a bug', end({ status: 1, code: 'bug', disk: 'full' }), 'command'],
  ] as const)('must not be %s', (_, one, kind) => {
    expect(complaintAbout(one, kind)).toBeDefined();
  });
});

describe('an answer over the socket', () => {
  it('may be that whoever has the store is going, or that the disk is full where it is', () => {
    expect(allowsAnswer('daemon-gone', 'sound')).toBe(true);
    expect(allowsAnswer('store-full', 'full')).toBe(true);
    expect(allowsAnswer('store-full', 'sound')).toBe(false);
    expect(allowsAnswer('bug', 'full')).toBe(false);
    expect(allowsAnswer(undefined, 'full')).toBe(false);
  });
});
