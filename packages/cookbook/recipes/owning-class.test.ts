import { withScope } from "bough";
import { collectGarbage, expectCollected } from "bough/testing";
import { expect, it } from "vitest";
import { Outbox } from "./owning-class.js";

it("sends in the background, and the rest when it is closed", async () => {
  const sent: string[][] = [];
  await withScope(async (scope) => {
    const outbox = new Outbox(scope, async (messages) => void sent.push(messages));
    outbox.post("a");
    outbox.post("b");
    await outbox.close();
    expect(sent).toEqual([["a", "b"]]);
  });
});

it("is closed by `await using`, and with its parent", async () => {
  const sent: string[][] = [];
  const send = async (messages: string[]): Promise<void> => void sent.push(messages);
  const failed = withScope(async (scope) => {
    {
      await using outbox = new Outbox(scope, send);
      outbox.post("a");
    }
    expect(sent).toEqual([["a"]]);
    new Outbox(scope, send).post("b");
    throw new Error("no route");
  });
  await expect(failed).rejects.toThrow("no route");
  expect(sent).toEqual([["a"], ["b"]]);
});

it("can be collected when it is no longer held", async () => {
  await withScope(async (scope) => {
    await expectCollected(() => new Outbox(scope, async () => {}));
    await collectGarbage(); // the orphan's end
  });
});
