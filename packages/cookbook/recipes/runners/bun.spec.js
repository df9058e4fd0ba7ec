import { expect, test } from "bun:test";
import { createScope, sleep, spawn } from "bough";
import { expectNoLeaks } from "bough/testing";

test("the poller stops", () =>
  expectNoLeaks(async () => {
    const service = createScope({ name: "service" });
    const poller = spawn(service, (task) => sleep(task, 60_000));
    await service.close();
    await expect(Promise.resolve(poller)).rejects.toMatchObject({ kind: "closed" }); // bun needs a native promise
  }));
