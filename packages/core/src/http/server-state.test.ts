import { createServer } from "node:http";
import { afterEach, expect, it, vi } from "vitest";

afterEach(() => void vi.resetModules());

/** The packages' modules once more, of which no other test has made a server's scope. */
async function load() {
  vi.resetModules();
  const { coarseElapsed } = await import("../kernel/monotonic-clock.js");
  const { serverScope } = await import("./index.js");
  return { coarseElapsed, serverScope };
}

/** Lets the clock go on, and the synchronous burst end, but no timer run. */
async function nextBurst(): Promise<void> {
  const now = Date.now();
  while (Date.now() < now + 2);
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
}

/** Whether a time that was read for many scopes at once is used in a later burst. */
async function isKept(coarseElapsed: () => number): Promise<boolean> {
  for (let attempt = 0; attempt < 10; attempt++) {
    let first = 0;
    for (let scopes = 0; scopes < 16; scopes++) first = coarseElapsed();
    await nextBurst();
    if (coarseElapsed() === first) return true; // else the clock went on while they were started
  }
  return false;
}

it("the clock of ages is read again in each burst of new scopes if there is no server", async () => {
  const { coarseElapsed } = await load();
  expect(await isKept(coarseElapsed)).toBe(false);
});

it("the clock of ages is read once in some milliseconds for many requests of a server", async () => {
  const { coarseElapsed, serverScope } = await load();
  const scope = serverScope(createServer());
  await nextBurst(); // the one in which it was made
  expect(await isKept(coarseElapsed)).toBe(true);
  const kept = coarseElapsed();
  await vi.waitFor(() => expect(coarseElapsed()).toBeGreaterThan(kept), 10_000);
  await scope.close();
});
