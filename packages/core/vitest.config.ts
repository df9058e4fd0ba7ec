import "../../scripts/vitest-on-node-20.mjs";
import { defineConfig } from "vitest/config";
import { vitePageAssets } from "./scripts/page-assets.mjs";

// vitest leaves one core to itself by default: with two cores that would be one file at a time.
// Most tests take milliseconds; those that play a scene at each of its steps take seconds, and minutes on a busy machine.
const shared = {
  pool: "forks",
  environment: "node",
  maxWorkers: 2,
  maxConcurrency: 30, // tests that are marked so wait most of their time
  testTimeout: 60_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 10_000 } }, // a second passes without a turn on a busy machine
} as const;

/** Tests of what is built and packed: they need a build, and seconds instead of milliseconds. */
const packaged = ["test/package.test.ts", "test/bundle.test.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [vitePageAssets],
        test: {
          ...shared,
          name: "unit",
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: packaged,
          globalSetup: "test/support/install-nodes.ts",
        },
      },
      {
        test: {
          ...shared,
          name: "package",
          include: packaged,
          globalSetup: "test/support/install-nodes.ts",
        },
      },
    ],
  },
});
