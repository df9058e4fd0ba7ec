import assert from "node:assert/strict";
import { test } from "node:test";
import { createScope, sleep, spawn } from "bough";
import { expectNoLeaks } from "bough/testing";

test("the poller stops", ({ signal }) =>
  expectNoLeaks(async () => {
    const service = createScope({ name: "service", signal }); // cancelled when the test times out
    const poller = spawn(service, (task) => sleep(task, 60_000));
    await service.close();
    await assert.rejects(poller, { kind: "closed" });
  }));
