// Sends ten thousand mixed requests to a server of each framework, and prints what became of them: `npm run test:mixed`.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const core = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bough-mixed-"));
const report = join(folder, "report.ndjson");
const vitest = join(core, "node_modules/vitest/vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--project", "unit", "--reporter", "dot", "mixed.test.ts"],
  { cwd: core, stdio: "inherit", env: { ...process.env, BOUGH_MIXED: "10000", BOUGH_MIXED_REPORT: report } },
);
if (existsSync(report)) {
  const rows = readFileSync(report, "utf8").trim().split("\n");
  console.table(rows.map((row) => JSON.parse(row)));
}
rmSync(folder, { recursive: true });
process.exitCode = status ?? 1;
