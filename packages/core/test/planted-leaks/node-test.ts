import { createServer } from "node:net";
import { describe, test } from "node:test";
import { createScope, sleep, spawn } from "../../src/index.js";
import { expectNoLeaks } from "../../src/testing/index.js";

// For planted-leaks.test.ts: bough/testing under Node's own test runner, with tests that run at once.

const options = { timeout: 300 };

void describe("node:test", { concurrency: true }, () => {
  void test("leaks a scope", () =>
    expectNoLeaks(() => {
      createScope({ name: "forgotten" });
    }, options));
  void test("leaks a server", () =>
    expectNoLeaks(() => {
      const server = createServer().listen(0, "127.0.0.1");
      setTimeout(() => server.close(), 2_000).unref();
    }, options));
  void test("leaks nothing", () =>
    expectNoLeaks(async () => {
      await using scope = createScope({ name: "closed" });
      spawn(scope, (task) => sleep(task, 60_000));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }, options));
});
