import { expect, it, vi } from "vitest";
import { collectGarbage } from "../../testing/index.js";
import { ChannelCore } from "./channel-core.js";

it("a channel drops close listeners that were collected, and calls the others once", async () => {
  const core = new ChannelCore<number>(0);
  const kept = { end: vi.fn<() => void>() };
  core.onClose(new WeakRef(kept));
  for (let round = 0; round < 5; round++) {
    for (let index = 0; index < 200; index++) core.onClose(new WeakRef({ end: () => undefined }));
    await collectGarbage();
  }
  const deref = vi.spyOn(WeakRef.prototype, "deref");
  core.close(undefined);
  const looks = deref.mock.calls.length;
  deref.mockRestore();
  expect(looks).toBeLessThan(500); // of 1,001
  expect(kept.end).toHaveBeenCalledTimes(1);
});
