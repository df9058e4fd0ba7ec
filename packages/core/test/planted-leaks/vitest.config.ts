import "../../../../scripts/vitest-on-node-20.mjs";
import { defineConfig } from "vitest/config";

// For the child that planted-leaks.test.ts starts: the suite is no test of the package's own.
export default defineConfig({
  test: {
    include: ["test/planted-leaks/{suite,one-describe,whole-file}.ts"],
    pool: "forks",
    maxConcurrency: 50,
    reporters: "json",
  },
});
