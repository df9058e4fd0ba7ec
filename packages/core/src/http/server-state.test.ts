import { createServer } from "node:http";
import { afterEach, expect, it, vi } from "vitest";

afterEach(() => void vi.resetModules());

/** The packages' modules once more, of which no other test has made a server's scope. */
async function load() {
  vi.resetModules();
  const { coarseTime } = await import("../kernel/age-clock.js");
  const { serverScope } = await import("./index.js");
  return { coarseTime, serverScope };
}

/** Lets the clock go on, and the synchronous burst end, but no timer run. */
async function nextBurst(): Promise<void> {
  const now = Date.now();
  while (Date.now() < now + 2);
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
}

it("is read again in every burst if there is no server", async () => {
  const { coarseTime } = await load();
  const first = coarseTime();
  await nextBurst();
  expect(coarseTime()).toBeGreaterThan(first);
});

it("is kept from request to request where there is one, for some ms", async () => {
  const { coarseTime, serverScope } = await load();
  const scope = serverScope(createServer());
  await nextBurst(); // the one in which it was made
  const first = coarseTime();
  await nextBurst();
  expect(coarseTime()).toBe(first);
  await vi.waitFor(() => expect(coarseTime()).toBeGreaterThan(first));
  await scope.close();
});
