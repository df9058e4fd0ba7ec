import { Effect, Fiber } from "effect";
import { run, sleep, spawn, suspend, useAbortSignal } from "effection";
import pLimit from "p-limit";
import { describe, expect, it } from "vitest";

// The statements of docs/comparison.md about the libraries that run here.

describe("Effection, in docs/comparison.md", () => {
  it("stops the children of an operation that returns, and waits for their cleanup", async () => {
    const log: string[] = [];
    await run(function* () {
      yield* spawn(function* () {
        try {
          yield* suspend();
        } finally {
          yield* sleep(1);
          log.push("child stopped");
        }
      });
      yield* sleep(1);
    });
    expect(log).toEqual(["child stopped"]);
  });

  it("has no reason for a cancellation", async () => {
    let reason: unknown;
    const task = run(function* () {
      const signal = yield* useAbortSignal();
      signal.addEventListener("abort", () => (reason = signal.reason));
      yield* suspend();
    });
    await task.halt();
    expect(reason).toMatchObject({ name: "AbortError", message: "This operation was aborted" });
  });

  it("keeps the last of two errors and drops the first", async () => {
    const first = new Error("first");
    const second = new Error("second");
    const thrown = await run(function* () {
      yield* spawn(function* () {
        try {
          yield* suspend();
        } finally {
          // oxlint-disable-next-line no-unsafe-finally -- this is the case
          throw second;
        }
      });
      yield* sleep(1);
      throw first;
    }).catch((error: unknown) => error);
    expect(thrown).toBe(second);
    expect(second.cause).toBeUndefined();
  });
});

describe("Effect, in docs/comparison.md", () => {
  it("stops the children of a fiber that ends, and waits for their cleanup", async () => {
    const log: string[] = [];
    const child = Effect.never.pipe(
      Effect.onInterrupt(() =>
        Effect.sleep("1 millis").pipe(Effect.andThen(Effect.sync(() => log.push("child stopped")))),
      ),
    );
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* Effect.forkChild(child);
        yield* Effect.sleep("1 millis");
      }),
    );
    expect(log).toEqual(["child stopped"]);
  });

  it("has no reason for an interruption", async () => {
    let reason: unknown;
    const fiber = Effect.runFork(
      Effect.callback<void>((_resume, signal) => {
        signal.addEventListener("abort", () => (reason = signal.reason));
      }),
    );
    await Promise.resolve();
    await Effect.runPromise(Fiber.interrupt(fiber));
    expect(reason).toMatchObject({ name: "AbortError", message: "This operation was aborted" });
  });

  it("keeps every error of Effect.all, and none of a forked child that is not joined", async () => {
    const both = await Effect.runPromiseExit(
      Effect.all(
        [
          Effect.sleep("1 millis").pipe(Effect.andThen(Effect.die("first"))),
          Effect.never.pipe(Effect.onInterrupt(() => Effect.die("second"))),
        ],
        { concurrency: "unbounded" },
      ),
    );
    expect(JSON.stringify(both)).toMatch(/first.*second/);
    const silent = await Effect.runPromise(
      Effect.gen(function* () {
        yield* Effect.forkChild(Effect.die("nobody hears of it"));
        yield* Effect.sleep("1 millis");
        return "fine";
      }),
    );
    expect(silent).toBe("fine");
  });
});

describe("p-limit, in docs/comparison.md", () => {
  it("runs plain async functions, and does not stop them when one fails", async () => {
    const limit = pLimit(2);
    let finish: () => void = () => {};
    let ended = false;
    const other = limit(async () => {
      await new Promise<void>((resolve) => (finish = resolve));
      ended = true;
    });
    const failure = new Error("first");
    const both = Promise.all([other, limit(() => Promise.reject(failure))]);
    await expect(both).rejects.toBe(failure);
    expect(ended).toBe(false); // still running, and nobody waits for it
    finish();
    await other;
    expect(ended).toBe(true);
  });
});
