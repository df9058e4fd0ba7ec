// oxlint-disable require-yield -- operations here need not wait for anything
/**
 * Types that the compiler must infer, and code that it must refuse: `tsc` reads this file, and fails on an
 * `@ts-expect-error` that expects an error where there is none. It is never run.
 */
import type { Operation } from "effection";
import {
  all,
  allSettled,
  any,
  cancellable,
  close,
  createChannel,
  createSemaphore,
  createSingleFlight,
  detach,
  map,
  moveOnAfter,
  race,
  retry,
  select,
  selfCleaning,
  sending,
  shield,
  spawn,
  start,
  stream,
  supervise,
  ticker,
  type Channel,
  type ContextKey,
  type Received,
  type Scope,
  type ScopeHandle,
  type SelfCleaning,
  type Started,
  type Task,
  type Worker,
} from "../../src/index.js";
import { expectType } from "./same.js";

declare const scope: Scope;
declare const aNumber: number;
declare const aString: string;
declare const aBoolean: boolean;
declare const impossible: ContextKey<never>;
declare const workers: Worker<number>[];

// The check itself can fail.
// @ts-expect-error -- not the same
expectType<string>()(aNumber);
// @ts-expect-error -- `any` is not `number`
expectType<number>()(JSON.parse("1"));

// Tuples in, tuples out.
expectType<Promise<[number, string, boolean, undefined]>>()(
  all(scope, [
    () => aNumber,
    async () => aString,
    function* () {
      return aBoolean;
    },
    () => undefined,
  ]),
);
expectType<Promise<[]>>()(all(scope, []));
expectType<Promise<number[]>>()(all(scope, workers));
expectType<Promise<number[]>>()(
  all(
    scope,
    [1, 2].map((n) => async () => n),
  ),
);
expectType<Promise<[string[], Set<number>]>>()(all(scope, [() => [aString], async () => new Set([1])]));
expectType<Promise<[never]>>()(all(scope, [(own) => own.get(impossible)]));
expectType<Promise<[AbortSignal]>>()(all(scope, [({ signal }) => signal]));
expectType<Promise<[PromiseSettledResult<number>, PromiseSettledResult<string>]>>()(
  allSettled(scope, [() => aNumber, async () => aString]),
);
expectType<Promise<number | string>>()(race(scope, [() => aNumber, async () => aString]));
expectType<Promise<number>>()(race(scope, workers));
expectType<Promise<number | string>>()(any(scope, [() => aNumber, async () => aString]));

// Workers of the wrong shape.
// @ts-expect-error -- a promise is no worker
void all(scope, [Promise.resolve(1)]);
// @ts-expect-error -- nor is a value
void race(scope, [() => 1, 2]);
// @ts-expect-error -- a worker gets a scope
void any(scope, [(name: string) => name]);
// @ts-expect-error -- and nothing else
void allSettled(scope, [(own: Scope, extra: number) => extra]);
// @ts-expect-error -- the scope comes first
void all([() => 1]);
// @ts-expect-error -- a signal is no scope
void race(new AbortController().signal, [() => 1]);

// Items and results.
expectType<Promise<string[]>>()(map(scope, [1, 2], (n) => n.toFixed()));
expectType<Promise<string[]>>()(
  map(scope, new Set([1]), async (n, own, index) => `${n} ${own.name} ${index}`),
);
expectType<Promise<number[]>>()(
  map(
    scope,
    async function* () {
      yield "a";
    },
    (letter) => letter.length,
  ),
);
expectType<Promise<number[]>>()(
  map(
    scope,
    (own) => createChannel<string>().values(own),
    (word) => word.length,
  ),
);
expectType<Promise<number[]>>()(
  map(scope, "abc", function* (letter) {
    return letter.length;
  }),
);
expectType<AsyncIterableIterator<string>>()(
  stream(scope, [1], (n) => n.toFixed(), { concurrency: 2, ordered: false }),
);
// @ts-expect-error -- not iterable
void map(scope, 5, () => 1);
// @ts-expect-error -- no such option
void map(scope, [1], (n) => n, { ordered: true });
// @ts-expect-error -- the items are numbers
void map(scope, [1], (n: string) => n);
// @ts-expect-error -- fn is missing
void stream(scope, [1]);

// One worker.
expectType<Promise<number>>()(retry(scope, async () => aNumber));
expectType<Promise<number>>()(
  retry(scope, (own) => own.path.length, { retryIf: (error, attempt) => error === attempt }),
);
// @ts-expect-error -- misspelt
void retry(scope, () => 1, { attempt: 3 });
expectType<Task<number>>()(supervise(scope, async () => aNumber));
expectType<Task<string>>()(detach(scope, scope, () => aString, { keepDeadline: true }));
// @ts-expect-error -- a target is missing
void detach(scope, () => 1);
expectType<Promise<number>>()(shield(scope, { timeout: 1 }, async () => aNumber));
// @ts-expect-error -- a shield has to end
void shield(scope, {}, () => 1);
// @ts-expect-error -- the same
void shield(scope, () => 1);
expectType<Promise<void>>()(start(scope, async (_own, started) => started()));
expectType<Promise<number>>()(start(scope, async (_own, started: Started<number>) => started(1)));
// @ts-expect-error -- started() takes a number
void start<number>(scope, (_own, started) => started("1"));
// @ts-expect-error -- and needs it
void start<number>(scope, (_own, started) => started());

// Options.
expectType<Promise<[number]>>()(all(scope, [() => aNumber], { name: "both", timeout: 1 }));
expectType<Promise<number>>()(race(scope, [() => aNumber], { timeout: 1 }));
// @ts-expect-error -- a combinator has no limit
void all(scope, [() => 1], { concurrency: 1 });
spawn(scope, () => 1, {
  signal: new AbortController().signal,
  grace: 1,
  onError: (error, task) => [error, task.path],
});
// @ts-expect-error -- a task has no handle that could be dropped
spawn(scope, () => 1, { onOrphan: "ignore" });
void retry(scope, () => 1, { delay: () => null, onRetry: (_error, attempt, delay) => attempt + delay });
// @ts-expect-error -- no delay
void retry(scope, () => 1, { delay: () => true });

// Time limits and operations without a signal.
expectType<Promise<number | undefined>>()(moveOnAfter(scope, { timeout: 1 }, async () => aNumber));
expectType<Promise<string | undefined>>()(
  moveOnAfter(scope, { deadline: new Date(), name: "rates" }, () => aString),
);
// @ts-expect-error -- without a limit it would never move on
void moveOnAfter(scope, {}, () => 1);
// @ts-expect-error -- nor does a name limit anything
void moveOnAfter(scope, { name: "rates" }, () => 1);
declare const rows: Promise<number[]>;
expectType<Promise<number[]>>()(
  cancellable(
    scope,
    () => rows,
    (operation, reason) => {
      expectType<Promise<number[]>>()(operation);
      expectType<string>()(reason.scope);
    },
  ),
);
// @ts-expect-error -- stop is missing
void cancellable(scope, () => 1);
const flights = createSingleFlight<number, string>(scope);
expectType<Promise<string>>()(flights.do(scope, 1, async () => aString));
// @ts-expect-error -- the key is a number
void flights.do(scope, "1", () => aString);
// @ts-expect-error -- the value is a string
void flights.do(scope, 1, () => aNumber);

// Handles.
declare const handle: ScopeHandle;
expectType<SelfCleaning<{ n: number }>>()(selfCleaning(() => ({ n: aNumber })));
expectType<SelfCleaning<{ n: number }>>()(selfCleaning(scope, () => ({ n: aNumber }), { name: "counter" }));
// @ts-expect-error -- build must not be async
selfCleaning(scope, async () => ({ n: 1 }));
// @ts-expect-error -- build is missing
selfCleaning(scope);
expectType<Promise<void>>()(close(handle, { grace: 1 }));
// @ts-expect-error -- a view of a scope is not a handle
void close(scope);

// Channels and select.
const numbers = createChannel<number>(3);
const words: Channel<string> = createChannel();
expectType<Promise<number>>()(numbers.receive(scope));
expectType<Received<number> | undefined>()(numbers.tryReceive());
expectType<boolean>()(numbers.trySend(1));
// @ts-expect-error -- a number goes in
numbers.trySend("1");
expectType<AsyncIterableIterator<string>>()(words.values(scope));
// @ts-expect-error -- a number goes in
void numbers.send(scope, "1");
// @ts-expect-error -- the scope comes first
void numbers.send(1);
expectType<Promise<Disposable>>()(createSemaphore(1).acquire(scope));
expectType<AsyncIterableIterator<number>>()(ticker(scope, 1));

async function chooses(): Promise<void> {
  const task = spawn(scope, async () => aBoolean);
  const chosen = await select(scope, { numbers, words, task, sent: sending(numbers, 1), idle: 1_000 });
  switch (chosen.key) {
    case "numbers":
      expectType<number>()(chosen.value);
      break;
    case "words":
      expectType<string>()(chosen.value);
      break;
    case "task":
      expectType<boolean>()(chosen.value);
      break;
    case "sent":
    case "idle":
      expectType<undefined>()(chosen.value);
      break;
    default:
      expectType<never>()(chosen);
  }
}
void chooses;
// @ts-expect-error -- the value does not fit the channel
sending(numbers, "1");
declare const maybe: number | undefined;
// @ts-expect-error -- nor does one that only may
sending(numbers, maybe);
sending(createChannel<number | undefined>(), aNumber);
// @ts-expect-error -- no such branch
void select(scope, { word: "hello" });

// An operation that is no generator is a plain value: see rule 8.
declare const operation: Operation<number>;
expectType<Promise<[Operation<number>]>>()(all(scope, [() => operation]));

// A key says what its values are, not the value what its key is.
declare const size: ContextKey<number>;
scope.set(size, aNumber);
// @ts-expect-error -- `get` would promise a number
scope.set(size, maybe);
expectType<number>()(scope.get(size));
