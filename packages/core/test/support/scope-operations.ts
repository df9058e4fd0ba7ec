import { EventEmitter } from "node:events";
import { suspend } from "effection";
import { useOperation } from "../../src/effection/index.js";
import {
  all,
  allSettled,
  any,
  background,
  cancellable,
  createChannel,
  createSemaphore,
  createSingleFlight,
  map,
  moveOnAfter,
  race,
  retry,
  select,
  sending,
  sleep,
  spawn,
  start,
  stream,
  supervise,
  ticker,
  withScope,
  type Scope,
} from "../../src/index.js";
import { events, iterate, pipe } from "../../src/streams/index.js";

/** Starts something in `scope` that does not end by itself. */
export type Operation = (scope: Scope) => Promise<unknown>;

const forever = (scope: Scope): Promise<void> => sleep(scope, Infinity);
const takenSemaphore = (): ReturnType<typeof createSemaphore> => {
  const semaphore = createSemaphore(1);
  void withScope((scope) => semaphore.acquire(scope));
  return semaphore;
};
/** A source that gives nothing, and ends when it is told to. */
const silent: AsyncIterable<number> = {
  [Symbol.asyncIterator]: () => ({
    next: () => new Promise<never>(() => undefined),
    return: () => Promise.resolve({ done: true, value: undefined }),
  }),
};

/** Everything that waits in a scope itself, without starting a task or a scope. */
export const waits: Record<string, Operation> = {
  sleep: (scope) => sleep(scope, 60_000),
  "sleep for ever": (scope) => sleep(scope, Infinity),
  "next() of a ticker": (scope) => ticker(scope, 60_000).next(),
  receive: (scope) => createChannel().receive(scope),
  send: (scope) => createChannel<number>().send(scope, 1),
  "next() of a channel's values": (scope) => createChannel().values(scope).next(),
  acquire: (scope) => takenSemaphore().acquire(scope),
  "do of a single flight": (scope) => createSingleFlight(background).do(scope, "key", forever),
  "select on a receive": (scope) => select(scope, { value: createChannel() }),
  "select on a send": (scope) => select(scope, { sent: sending(createChannel<number>(), 1) }),
  "select on a promise": (scope) => select(scope, { never: new Promise(() => undefined) }),
  "select on a timeout": (scope) => select(scope, { late: 60_000 }),
};

/** Everything that starts something below a scope and gives a promise for it. */
export const starters: Record<string, Operation> = {
  withScope: (scope) => withScope(scope, forever),
  all: (scope) => all(scope, [forever]),
  allSettled: (scope) => allSettled(scope, [forever]),
  race: (scope) => race(scope, [forever]),
  any: (scope) => any(scope, [forever]),
  map: (scope) => map(scope, [1], (_, own) => forever(own)),
  retry: (scope) => retry(scope, forever),
  moveOnAfter: (scope) => moveOnAfter(scope, { timeout: Infinity }, forever),
  cancellable: (scope) => {
    let stop!: (error: Error) => void;
    return cancellable(
      scope,
      () => new Promise<void>((_, reject) => (stop = reject)),
      () => stop(new Error("stopped")),
    );
  },
  start: (scope) => start(scope, (own) => forever(own)),
  "next() of a stream": (scope) => stream(scope, [1], (_, own) => forever(own)).next(),
  "next() of iterate()": (scope) => iterate(scope, silent).next(),
  "next() of events()": (scope) => events(scope, new EventEmitter(), "never").next(),
  pipe: (scope) => pipe(scope, silent, new WritableStream()),
  useOperation: (scope) =>
    useOperation(scope, function* () {
      yield* suspend();
    }),
  "then() of a task": (scope) => spawn(scope, forever).then(() => undefined),
  "finally() of a task": (scope) => spawn(scope, forever).finally(() => undefined),
  "finally() of a supervised task": (scope) => supervise(scope, forever).finally(() => undefined),
};
