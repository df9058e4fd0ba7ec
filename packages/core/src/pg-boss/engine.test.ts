import { PgBoss } from "pg-boss";
import { afterEach, expect, it, vi } from "vitest";
import { createScope } from "../index.js";
import { connectRemote } from "../remote/index.js";
import { pgBossEngine } from "./index.js";

afterEach(() => void vi.restoreAllMocks());

it("a scope that ends while pg-boss starts stops it", async () => {
  const scope = createScope();
  const stop = vi.spyOn(PgBoss.prototype, "stop");
  vi.spyOn(PgBoss.prototype, "start").mockImplementation(async function start(this: PgBoss) {
    await scope.close();
    return this;
  });
  const engine = pgBossEngine({ connectionString: "postgresql://127.0.0.1:1/none" });
  await expect(connectRemote(scope, engine)).rejects.toThrow("after calling end on the pool");
  expect(stop).toHaveBeenCalledTimes(1);
});
