import "../../scripts/vitest-on-node-20.mjs";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "examples",
    pool: "forks",
    environment: "node",
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    passWithNoTests: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 10_000 } }, // a second passes without a turn on a busy machine
  },
});
