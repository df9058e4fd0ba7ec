import { createServer } from "node:http";
import { afterEach, expect, it, vi } from "vitest";

afterEach(() => void vi.resetModules());

/** The packages' modules once more, of which no other test has made a server's scope. */
async function load() {
  vi.resetModules();
  const { burstTime } = await import("../kernel/age-clock.js");
  const { serverScope } = await import("./index.js");
  return { burstTime, serverScope };
}

/** Lets the clock go on, and the synchronous burst end, but no timer run. */
async function nextBurst(): Promise<void> {
  const now = Date.now();
  while (Date.now() < now + 2);
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
}

it("is read anew in every burst where there is no server", async () => {
  const { burstTime } = await load();
  const first = burstTime();
  await nextBurst();
  expect(burstTime()).toBeGreaterThan(first);
});

it("is kept from request to request where there is one, for some ms", async () => {
  const { burstTime, serverScope } = await load();
  const scope = serverScope(createServer());
  await nextBurst(); // the one in which it was made
  const first = burstTime();
  await nextBurst();
  expect(burstTime()).toBe(first);
  await vi.waitFor(() => expect(burstTime()).toBeGreaterThan(first));
  await scope.close();
});
