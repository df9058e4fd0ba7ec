import "../../scripts/vitest-on-node-20.mjs";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "cookbook",
    pool: "forks",
    environment: "node",
    include: ["recipes/**/*.test.ts", "test/**/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 10_000 } }, // a second passes without a turn on a busy machine
  },
});
