import { createScope, sleep, withScope } from "bough";
import { expect, it } from "vitest";
import { createExclusive } from "./exclusive.js";

it("runs one body at a time, in the order of the calls", async () => {
  const events: string[] = [];
  await withScope(async (scope) => {
    const exclusive = createExclusive();
    const run = (name: string) =>
      exclusive(scope, async (own) => {
        events.push(`${name} begins`);
        await sleep(own, 1);
        events.push(`${name} ends`);
      });
    await Promise.all([run("a"), run("b")]);
  });
  expect(events).toEqual(["a begins", "a ends", "b begins", "b ends"]);
});

it("lets a caller leave the queue when it is cancelled, and the next one pass", async () => {
  await withScope(async (scope) => {
    const exclusive = createExclusive();
    const gate = createScope(scope);
    const holder = exclusive(gate, (own) => sleep(own, 60_000));
    const impatient = createScope(scope);
    const waiting = exclusive(impatient, async () => "never");
    const next = exclusive(scope, async () => "next");
    impatient.cancel();
    await expect(waiting).rejects.toBe(impatient.reason);
    gate.cancel();
    await expect(holder).rejects.toBe(gate.reason);
    expect(await next).toBe("next");
  });
});
