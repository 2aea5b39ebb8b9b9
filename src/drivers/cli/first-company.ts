/**
 * Invites the first other device into a mesh of one, beside the daemon: a client of its socket like any other. It
 * ends with the first member, and with the daemon.
 */
import { isObject } from '../../adapters/rpc/protocol.ts';
import { MeshError } from '../../entities/errors.ts';
import { attend, newsOf, showInvite } from './commands/invite.ts';
import type { Invocation } from './invocation.ts';
import { ask, isTerminal, type Question } from './prompt.ts';
import { connect, type Link } from './session.ts';

/** What putting the invite in order may take of the time in which a stop is promised. */
const ORDERLY = 600;

export interface FirstCompany {
  /** There is a member, by whatever way it came. */
  arrived(): void;
  /** The invite ends, and nobody is asked any more. */
  end(): Promise<void>;
}

/** `over` is where nobody is left who could make another one. */
type Outcome = 'in company' | 'again' | 'over';

export interface CompanyParts {
  readonly invocation: Invocation;
  /** The person wants the whole to end. */
  readonly quit: () => void;
}

export function awaitCompany({ invocation, quit }: CompanyParts): FirstCompany {
  const { home, out } = invocation;
  let isOver = false;
  let interrupt: (what: 'interrupted') => void = () => undefined;
  const came = new Promise<'interrupted'>((resolve) => {
    interrupt = resolve;
  });
  let arrive: (what: 'in company') => void = () => undefined;
  const arrived = new Promise<'in company'>((resolve) => {
    arrive = resolve;
  });
  let open: Question | undefined;

  /** Somebody who leaves a question unanswered wants to stop; so it was said to them. */
  function askPerson(text: string): Question {
    const question = ask(text);
    let withdrawn = false;
    open = {
      answer: question.answer.then((answer) => {
        if (answer === undefined && !withdrawn) quit();
        return answer;
      }),
      withdraw() {
        withdrawn = true;
        question.withdraw();
      },
    };
    return open;
  }

  /** One invite, to its end. */
  async function inviteOnce(link: Link): Promise<Outcome> {
    try {
      const news = newsOf(link);
      const answer = await link.call('invite');
      if (!isObject(answer)) throw new Error('an invite was answered with something else');
      await showInvite(invocation, answer);
      if (!isTerminal())
        out.note('when a device has used it, "mesh approve --code" with its code lets it in');
      await attend({ invocation, link, news, answer, interruption: { came }, askPerson });
      return 'in company';
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      if (isOver || error.code === 'daemon-gone' || error.code === 'daemon-stopping') return 'over';
      // What is written to nobody cannot be told either.
      if (error.code === 'output-closed') return 'over';
      const { code, message, hint } = error;
      out.note(`${message}; ${isTerminal() ? 'nobody was added' : hint}`);
      await out.say({ event: 'invite-ended', code, message, hint });
      if (!isTerminal()) return 'over';
      const { answer } = askPerson('press Enter for a new invite (Ctrl-C ends all of it): ');
      const next = answer.then((line) => (line === undefined ? 'over' : 'again'));
      const broken = link.broken.catch(() => 'over' as const);
      return await Promise.race([next, came.then(() => 'over' as const), arrived, broken]);
    } finally {
      open?.withdraw();
      open = undefined;
    }
  }

  async function work(): Promise<void> {
    const reached = await connect(home);
    if (reached === undefined) return;
    try {
      let outcome: Outcome = 'again';
      while (outcome === 'again' && !isOver) outcome = await inviteOnce(reached.link);
      if (outcome !== 'in company') return;
      out.note('the daemon goes on here, Ctrl-C ends it; "mesh invite" in another terminal brings in more');
    } finally {
      await reached.close();
    }
  }

  const working = work().catch((error: unknown) => {
    // The daemon ended under it, or a reader went away: both are told of where they matter.
    if (!(error instanceof MeshError)) throw error;
  });
  return {
    arrived: () => arrive('in company'),
    async end() {
      isOver = true;
      interrupt('interrupted');
      await Promise.race([working, new Promise((resolve) => setTimeout(resolve, ORDERLY).unref())]);
    },
  };
}
