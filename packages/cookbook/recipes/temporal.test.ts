import { asyncLocalStorage, CancelledFailure, type Context } from "@temporalio/activity";
import { isCancelled, sleep } from "bough";
import { expect, it } from "vitest";
import { activity } from "./temporal.js";

// A worker needs Temporal's server, which no npm package brings: the recipe runs in the context that a worker would give
// it, and is type-checked against the real one.

const inContext = (controller: AbortController, beats: unknown[]) => {
  const heartbeat = (details: unknown): void => void beats.push(details);
  const context = { info: { activityType: "resize" }, cancellationSignal: controller.signal, heartbeat };
  return <T>(call: () => Promise<T>): Promise<T> =>
    asyncLocalStorage.run(context as unknown as Context, call);
};

it("gives the activity a scope that heartbeats, and no heartbeat outlives it", async () => {
  const beats: unknown[] = [];
  const resize = activity(async (scope, width: number) => `${scope.name} to ${width}`);
  expect(await inContext(new AbortController(), beats)(() => resize(100))).toBe("resize to 100");
  expect(beats).toHaveLength(1);
});

it("rejects with an AbortError, which Temporal takes for the cancellation, with its failure as the cause", async () => {
  const controller = new AbortController();
  const resize = activity(async (scope) => sleep(scope, 60_000));
  const running = inContext(controller, [])(() => resize());
  const failure = new CancelledFailure("CANCELLED");
  controller.abort(failure);
  const error = await running.catch((reason: unknown) => reason);
  expect(isCancelled(error) && error.cause).toBe(failure);
  expect((error as Error).name).toBe("AbortError");
});
