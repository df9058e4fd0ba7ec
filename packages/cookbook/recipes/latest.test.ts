import { isCancelled, sleep, withScope } from "bough";
import { expect, it } from "vitest";
import { createLatest } from "./latest.js";

it("cancels the task of the call before, which says why, and keeps the newest", async () => {
  const cleanedUp: string[] = [];
  const result = await withScope(async (scope) => {
    const search = createLatest(scope);
    const run = (query: string) =>
      search(async (task) => {
        task.defer(() => cleanedUp.push(query));
        await sleep(task, query === "abc" ? 1 : 60_000);
        return query;
      });
    const first = run("a");
    run("ab"); // nobody awaits it
    const third = run("abc");
    const error = await first.catch((reason: unknown) => reason);
    expect(isCancelled(error) && error.cause).toBe("superseded");
    return await third;
  });
  expect(result).toBe("abc");
  expect(cleanedUp.toSorted()).toEqual(["a", "ab", "abc"]);
});

it("goes on after a call has finished", async () => {
  await withScope(async (scope) => {
    const latest = createLatest(scope);
    expect(await latest(() => 1)).toBe(1);
    expect(await latest(() => 2)).toBe(2);
  });
});
