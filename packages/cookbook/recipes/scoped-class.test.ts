import { withScope } from "bough";
import { expect, it } from "vitest";
import { Rates } from "./scoped-class.js";

it("works while its scope does, and ends with it", async () => {
  let signal: AbortSignal | undefined;
  const rate = await withScope(async (scope) => {
    const rates = new Rates(scope, async (given) => {
      signal = given;
      return new Map([["EUR", 1.1]]);
    });
    await Promise.resolve();
    return rates.get("EUR");
  });
  expect(rate).toBe(1.1);
  expect(signal?.aborted).toBe(true);
});

it("fails its owner when it can't work", async () => {
  const failure = new Error("no route");
  await expect(withScope((scope) => void new Rates(scope, () => Promise.reject(failure)))).rejects.toBe(
    failure,
  );
});
