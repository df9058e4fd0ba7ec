import { createScope, withScope } from "bough";
import { BrokenCircuitError } from "cockatiel";
import { expect, it } from "vitest";
import { eventually } from "../support/eventually.js";
import { serve } from "../support/servers.js";
import { call } from "./circuit-breaker.js";

it("does not count callers that gave up, and opens after five failures", async () => {
  const asked: string[] = [];
  await using slow = await serve((request) => void asked.push(request.url ?? ""));
  for (let caller = 0; caller < 6; caller++) {
    const scope = createScope();
    const pending = call(scope, `${slow.url}/${caller}`);
    await eventually(() => expect(asked).toHaveLength(caller + 1));
    scope.cancel();
    await expect(pending).rejects.toBe(scope.reason);
  }
  await withScope(async (scope) => {
    await using down = await serve((request) => request.socket.destroy());
    for (let count = 0; count < 5; count++) {
      await expect(call(scope, down.url)).rejects.toThrow("fetch failed");
    }
    await expect(call(scope, slow.url)).rejects.toBeInstanceOf(BrokenCircuitError);
    expect(asked).toHaveLength(6);
  });
});
