import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { outcomeOf, rejection, thrown } from "../../../test/support/deferred.js";
import { sometime } from "../../../test/support/plan.js";
import { createScope, createSemaphore, isCancelled, withScope, type Scope } from "../../index.js";

describe("createSemaphore()", () => {
  it("grants its permits, then makes callers wait in the order of their calls", async () => {
    const scope = createScope();
    const semaphore = createSemaphore(2);
    const first = await semaphore.acquire(scope);
    await semaphore.acquire(scope);
    const third = semaphore.acquire(scope);
    const fourth = semaphore.acquire(scope);
    expect(await outcomeOf(third)).toBe("pending");
    first[Symbol.dispose]();
    const permit = await third;
    expect(await outcomeOf(fourth)).toBe("pending");
    permit[Symbol.dispose]();
    await fourth;
    await scope.close();
  });

  it("releases a permit once, however often it is disposed of", async () => {
    const scope = createScope();
    const semaphore = createSemaphore(1);
    const permit = await semaphore.acquire(scope);
    permit[Symbol.dispose]();
    permit[Symbol.dispose]();
    await semaphore.acquire(scope);
    expect(await outcomeOf(semaphore.acquire(scope))).toBe("pending");
    scope.cancel();
  });

  it("rejects with the reason when the waiting scope is cancelled, and the next caller gets its turn", async () => {
    const [scope, other] = [createScope(), createScope()];
    const semaphore = createSemaphore(1);
    const permit = await semaphore.acquire(other);
    const cancelled = semaphore.acquire(scope);
    const next = semaphore.acquire(other);
    scope.cancel();
    expect(await rejection(cancelled)).toBe(scope.reason);
    permit[Symbol.dispose]();
    await next;
    await other.close();
  });

  it("rejects with the reason in a scope that is cancelled already, and takes no permit", async () => {
    const [scope, other] = [createScope(), createScope()];
    scope.cancel();
    const semaphore = createSemaphore(1);
    expect(await rejection(semaphore.acquire(scope))).toBe(scope.reason);
    await semaphore.acquire(other);
    await other.close();
  });

  it("acquires permits that scope.use() accepts", async () => {
    const semaphore = createSemaphore(1);
    await withScope(async (scope) => {
      scope.use(await semaphore.acquire(scope));
    });
    await withScope((scope) => semaphore.acquire(scope));
  });

  it.each([0, -1, 1.5, NaN, Infinity])("throws a RangeError for %s permits", (permits) => {
    expect(thrown(() => createSemaphore(permits))).toBeInstanceOf(RangeError);
  });

  it("throws a TypeError for permits that are not a number, and rejects a value that is not a scope", async () => {
    expect(thrown(() => createSemaphore("1" as never))).toBeInstanceOf(TypeError);
    expect(await rejection(createSemaphore(1).acquire({} as Scope))).toBeInstanceOf(TypeError);
  });

  it("rule 22: never loses a permit or grants one twice, for every order of cancellations", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.record({ times: fc.integer({ min: 1, max: 3 }), dies: fc.boolean() }), { maxLength: 8 }),
        async (schedule, permits, actors) => {
          const semaphore = createSemaphore(permits);
          let held = 0;
          const ended = actors.map(async ({ times, dies }, id) => {
            const scope = createScope();
            if (dies) sometime(schedule, `cancel ${id}`, () => scope.cancel());
            try {
              for (let n = 0; n < times; n++) {
                await schedule.schedule(Promise.resolve(), `before ${id}`);
                const permit = await semaphore.acquire(scope);
                held += 1;
                expect(held).toBeLessThanOrEqual(permits);
                await schedule.schedule(Promise.resolve(), `inside ${id}`);
                held -= 1;
                permit[Symbol.dispose]();
              }
            } catch (error) {
              if (!isCancelled(error)) throw error;
            }
          });
          await schedule.waitFor(Promise.all(ended)); // nobody waits for ever
          const last = createScope();
          for (let n = 0; n < permits; n++) await semaphore.acquire(last);
          expect(await outcomeOf(semaphore.acquire(last))).toBe("pending");
          last.cancel();
        },
      ),
      { numRuns: 200 },
    );
  });
});
