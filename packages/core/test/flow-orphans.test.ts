import { describe, expect, it } from "vitest";
import { untilCancelled } from "./support/until-cancelled.js";
import {
  all,
  allSettled,
  any,
  background,
  cancellable,
  createChannel,
  createScope,
  createSemaphore,
  createSingleFlight,
  detach,
  map,
  moveOnAfter,
  race,
  retry,
  select,
  sending,
  shield,
  sleep,
  spawn,
  start,
  stream,
  supervise,
  ticker,
  type ScopeHandle,
} from "../src/index.js";
import { collectGarbage } from "../src/testing/index.js";

const channel = createChannel<number>();
const full = createSemaphore(1);
const singleFlight = createSingleFlight<string, unknown>(background);
const pending = new Promise<void>(() => undefined);
const fails = (): Promise<never> => Promise.reject(new Error("again"));

/** Something pending that was begun with the owner handle itself, and is held on to where the caller would hold it. */
const uses: Readonly<Record<string, (scope: ScopeHandle) => PromiseLike<unknown>>> = {
  sleep: (scope) => sleep(scope, 1e9),
  ticker: (scope) => ticker(scope, 1e9).next(),
  all: (scope) => all(scope, [untilCancelled, untilCancelled]),
  allSettled: (scope) => allSettled(scope, [untilCancelled]),
  race: (scope) => race(scope, [untilCancelled]),
  any: (scope) => any(scope, [untilCancelled]),
  map: (scope) => map(scope, [1, 2], (_, own) => untilCancelled(own), { concurrency: 1 }),
  stream: (scope) => stream(scope, [1, 2], (_, own) => untilCancelled(own)).next(),
  retry: (scope) => retry(scope, untilCancelled),
  "retry, in a delay": (scope) => retry(scope, fails, { minDelay: 1e9, maxDelay: 1e9 }),
  "supervise, in a delay": (scope) => supervise(scope, fails, { minDelay: 1e9, maxDelay: 1e9 }),
  start: (scope) => start(scope, untilCancelled),
  "start, in a queue": (scope) => {
    spawn(scope, untilCancelled);
    return start(scope, untilCancelled);
  },
  detach: (scope) => detach(scope, scope, untilCancelled),
  shield: (scope) => shield(scope, { timeout: 1 }, untilCancelled),
  moveOnAfter: (scope) => moveOnAfter(scope, { timeout: 1e9 }, untilCancelled),
  cancellable: (scope) => {
    let stop!: (error: Error) => void;
    return cancellable(
      scope,
      () => new Promise<void>((_, reject) => (stop = reject)),
      () => stop(new Error("stopped")),
    );
  },
  "do of a single flight": (scope) => createSingleFlight(scope).do(background, "key", untilCancelled),
  "do of a single flight, as the caller": (scope) => singleFlight.do(scope, "key", untilCancelled),
  receive: (scope) => channel.receive(scope),
  values: (scope) => channel.values(scope).next(),
  acquire: (scope) => full.acquire(scope),
  select: (scope) => select(scope, { pending, idle: 1e9, channel, out: sending(createChannel<number>(), 1) }),
};

describe("pending work in a scope whose owner handle was dropped", () => {
  it("rule 19: does not keep the handle alive, and ends with it", async () => {
    await full.acquire(background);
    const left = new Set(Object.keys(uses));
    const ended: Promise<unknown>[] = [];
    const begin = (name: string): void => {
      const concurrency = name === "start, in a queue" ? 1 : Infinity;
      const scope = createScope({ name, concurrency, onOrphan: (info) => void left.delete(info.name) });
      ended.push(Promise.resolve(uses[name]?.(scope)).catch((error: unknown) => error));
    };
    for (const name of left) begin(name);
    for (let tries = 0; tries < 20 && left.size > 0; tries++) await collectGarbage();
    expect([...left]).toEqual([]);
    for (const reason of await Promise.all(ended))
      expect(reason).toMatchObject({ name: expect.stringMatching(/Error$/) as string });
  });
});
