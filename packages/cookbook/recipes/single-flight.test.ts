import { createScope, withScope } from "bough";
import { expect, it } from "vitest";
import { createUsers } from "./single-flight.js";

it("asks once for all who wait, and stops when the last one has left", async () => {
  await withScope(async (server) => {
    const signals: AbortSignal[] = [];
    let answer: (name: string) => void = () => {};
    const users = createUsers(server, (_id, signal) => {
      signals.push(signal);
      return new Promise((resolve, reject) => {
        answer = resolve;
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    });
    const [first, second] = [createScope(server), createScope(server)];
    const calls = [users(first, 7), users(second, 7)];
    expect(signals).toHaveLength(1);
    first.cancel("the client has left");
    await expect(calls[0]).rejects.toBe(first.reason);
    answer("Ada");
    expect(await calls[1]).toBe("Ada");

    const alone = createScope(server);
    const call = users(alone, 8);
    alone.cancel();
    await expect(call).rejects.toBe(alone.reason);
    expect(signals.map((signal) => signal.aborted)).toEqual([false, true]);
    await Promise.all([first, second, alone].map((scope) => scope.close()));
  });
});
