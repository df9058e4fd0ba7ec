import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { useFakeTime } from "../../../test/support/fake-time.js";
import { turnsWhile } from "../../../test/support/turns.js";
import {
  all,
  allSettled,
  any,
  createScope,
  DeadlineExceededError,
  map,
  race,
  retry,
  sleep,
  stream,
  suppressed,
  withScope,
  type CombinatorOptions,
  type Scope,
} from "../../index.js";

const unhandled = useFakeTime();

const failure = new Error("failure");

type Run = (
  scope: Scope,
  worker: (own: Scope) => Promise<unknown>,
  options?: CombinatorOptions,
) => Promise<unknown>;

/** Each function that takes these options, with one worker. */
const combinators: readonly (readonly [name: string, run: Run])[] = [
  ["all", (scope, worker, options) => all(scope, [worker], options)],
  ["allSettled", (scope, worker, options) => allSettled(scope, [worker], options)],
  ["any", (scope, worker, options) => any(scope, [worker], options)],
  ["race", (scope, worker, options) => race(scope, [worker], options)],
  ["map", (scope, worker, options) => map(scope, [1], (_, own) => worker(own), options)],
  ["stream", (scope, worker, options) => stream(scope, [1], (_, own) => worker(own), options).next()],
  ["retry", (scope, worker, options) => retry(scope, worker, options)],
];

describe.each(combinators)("%s() with options", (operation, run) => {
  it("rule 22: has the name of the option, otherwise that of the function", async () => {
    const scope = createScope({ name: "root" });
    const paths: string[] = [];
    const worker = async (own: Scope): Promise<void> => void paths.push(own.path.split("/")[1] as string);
    await run(scope, worker);
    await run(scope, worker, { name: undefined });
    await run(scope, worker, { name: "prices" });
    expect(paths).toEqual([operation, operation, "prices"]);
  });

  it("rule 22: is cancelled at its timeout, waits, and rejects with the deadline; the scope continues", async () => {
    const scope = createScope({ name: "root" });
    const gate = deferred();
    let seen: unknown;
    const result = run(
      scope,
      (own) => {
        own.defer(() => gate.promise);
        own.onCancel((reason) => (seen = reason));
        return sleep(own, 1_000);
      },
      { name: "prices", timeout: 100 },
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await outcomeOf(result)).toBe("pending");
    gate.resolve();
    const reason = await rejection(result);
    expect(reason).toBe(seen);
    expect(reason).toBeInstanceOf(DeadlineExceededError);
    expect(reason).toMatchObject({ scope: "root/prices", timeout: 100 });
    expect([scope.state, scope.errors]).toEqual(["open", []]);
    await scope.join(); // not cut short
  });

  it("clears its timer when it ends in time", async () => {
    const scope = createScope();
    await run(scope, async () => 1, { timeout: 100 });
    await scope.join();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("rule 17: starts nothing with a timeout of 0", async () => {
    const scope = createScope();
    const worker = vi.fn<() => Promise<void>>(async () => undefined);
    expect(await rejection(run(scope, worker, { timeout: 0 }))).toMatchObject({
      kind: "deadline",
      timeout: 0,
    });
    expect(worker).not.toHaveBeenCalled();
    await scope.join();
  });

  it("rule 15: keeps a value that comes although the time is up", async () => {
    const scope = createScope();
    const result = run(
      scope,
      async (own) => {
        await sleep(own, 1_000).catch(() => undefined);
        return "value";
      },
      { timeout: 100 },
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(JSON.stringify(await result)).toContain("value");
  });

  it("rejects with a failure that comes when the time is up", async () => {
    const scope = createScope();
    const result = rejection(
      run(scope, (own) => sleep(own, 1_000).catch(() => Promise.reject(failure)), { timeout: 100 }),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await result).toBe(failure);
    expect(scope.errors).toEqual([]);
  });

  it("rejects with the reason of a scope that is cancelled before its time is up", async () => {
    const scope = createScope();
    const result = rejection(run(scope, (own) => sleep(own, 1_000), { timeout: 100 }));
    scope.cancel();
    expect(await result).toBe(scope.reason);
  });

  it("rejects with the deadline of the scope if that is earlier or the same", async () => {
    const outcome = rejection(
      withScope({ name: "root", timeout: 100 }, (scope) =>
        run(scope, (own) => sleep(own, 1_000), { timeout: 100 }),
      ),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await outcome).toMatchObject({ kind: "deadline", scope: "root" });
  });

  it("rule 11: its own deadline is an unhandled rejection if it is not awaited", async () => {
    const scope = createScope();
    void run(scope, (own) => sleep(own, 1_000), { timeout: 100 });
    await vi.advanceTimersByTimeAsync(100);
    await flush();
    expect(unhandled.splice(0)).toEqual([expect.objectContaining({ kind: "deadline", timeout: 100 })]);
    void run(scope, (own) => sleep(own, 1_000), { timeout: 100 });
    scope.cancel();
    await flush();
    expect(unhandled).toEqual([]);
  });

  it("rule 13: a loop whose time is up lets other code run", async () => {
    const scope = createScope();
    expect(await turnsWhile(() => run(scope, async () => 1, { timeout: 0 }))).toBe(3);
  });
});

describe("a timeout of a combinator", () => {
  it("also ends a combinator without workers, and a combinator whose source yields nothing", async () => {
    const scope = createScope();
    const silent: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }),
    };
    const results = [
      rejection(all(scope, [], { timeout: 0 })),
      rejection(any(scope, [], { timeout: 0 })),
      rejection(map(scope, silent, () => 1, { timeout: 10 })),
      rejection(stream(scope, silent, () => 1, { timeout: 10 }).next()),
    ];
    await vi.advanceTimersByTimeAsync(10);
    for (const result of results) expect(await result).toBeInstanceOf(DeadlineExceededError);
  });

  it("of a stream is counted from the first next(), and ends the iteration", async () => {
    const scope = createScope();
    const squares = stream(
      scope,
      [1, 2, 3],
      async (n, own) => {
        await sleep(own, 60);
        return n * n;
      },
      { timeout: 100 },
    );
    await vi.advanceTimersByTimeAsync(500);
    const first = squares.next();
    await vi.advanceTimersByTimeAsync(60);
    expect(await first).toEqual({ done: false, value: 1 });
    const second = rejection(squares.next());
    await vi.advanceTimersByTimeAsync(40);
    expect(await second).toMatchObject({ kind: "deadline", timeout: 100 });
    expect(await squares.next()).toEqual({ done: true, value: undefined });
    await scope.join();
  });

  it("of a stream that is no longer read is not a failure of its scope", async () => {
    const scope = createScope();
    const squares = stream(scope, [1, 2], (n) => n * n, { timeout: 100 });
    expect(await squares.next()).toEqual({ done: false, value: 1 });
    await vi.advanceTimersByTimeAsync(100);
    await scope.join();
    expect(scope.errors).toEqual([]);
  });

  it("of a stream is read once: later changes of the options have no effect", async () => {
    const scope = createScope();
    const options = { timeout: 100, concurrency: 2 };
    const squares = stream(scope, [1], (n, own) => sleep(own, 1_000).then(() => n), options);
    options.timeout = 1;
    const first = rejection(squares.next());
    await vi.advanceTimersByTimeAsync(99);
    expect(await outcomeOf(first)).toBe("pending");
    await vi.advanceTimersByTimeAsync(1);
    expect(await first).toMatchObject({ timeout: 100 });
  });

  it("rule 10: keeps the failures that were ignored until then", async () => {
    const scope = createScope();
    const fails = (): Promise<never> => Promise.reject(failure);
    const results = [
      any(scope, [fails, (own) => sleep(own, 1_000)], { timeout: 100 }),
      allSettled(scope, [fails, (own) => sleep(own, 1_000)], { timeout: 100 }),
      retry(scope, fails, { timeout: 100, minDelay: 1_000 }),
    ].map((result) => rejection(result));
    await vi.advanceTimersByTimeAsync(100);
    for (const result of results) {
      const reason = await result;
      expect(reason).toBeInstanceOf(DeadlineExceededError);
      expect(suppressed(reason)).toEqual([failure]);
    }
  });

  it("ignores scope options that its options object inherits", async () => {
    const scope = createScope();
    const inherited = Object.create({ concurrency: 1 }) as CombinatorOptions;
    let running = 0;
    let most = 0;
    const worker = async (own: Scope): Promise<void> => {
      most = Math.max(most, ++running);
      await sleep(own, 1);
      running--;
    };
    const result = all(scope, [worker, worker], Object.assign(inherited, { timeout: 100 }));
    await vi.advanceTimersByTimeAsync(1);
    await result;
    expect(most).toBe(2);
  });
});
