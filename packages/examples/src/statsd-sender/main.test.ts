import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { runExample } from "../../test/support/run-example.js";

it("main.ts prints the lines of the README", { timeout: 60_000 }, async () => {
  const readme = readFileSync(new URL("README.md", import.meta.url), "utf8");
  const [, expected] = /```text\n(.*?)```/s.exec(readme) ?? [];
  const { code, output } = await runExample("statsd-sender");
  expect(output).toBe(expected);
  expect(code).toBe(0);
});
