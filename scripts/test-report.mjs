// A vitest reporter for scripts/run.mjs: what ran and what failed, as one JSON file at the path in
// BOUGH_TEST_REPORT. vitest's own JSON report leaves out errors outside of tests: of hooks, of files that can't be
// loaded, and unhandled ones.

import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";

/** How many lines of an error are shown. */
const lineLimit = 12;
/** How many failures are shown. */
const failureLimit = 10;

function describe(error) {
  const [own] = (error.stack ?? "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !line.includes("node_modules"));
  const text = [`${error.name ?? "Error"}: ${error.message}`];
  if (own) text.push(own);
  if (error.diff) text.push(error.diff);
  if (error.cause)
    text.push(`Caused by ${error.cause.name ?? "Error"}: ${error.cause.message ?? error.cause}`);
  return stripVTControlCharacters(text.join("\n"));
}

const title = (entity) => {
  const names = [];
  for (let at = entity; at.type !== "module"; at = at.parent) names.unshift(at.name);
  return [relative(process.cwd(), entity.module?.moduleId ?? entity.moduleId), ...names].join(" › ");
};

/** The lines about the failures of a run: of each its title and the first lines of its error. */
export function failureLines(failures) {
  const lines = failures.slice(0, failureLimit).flatMap(({ title, error }) => [
    `  ${title}`,
    ...error
      .split("\n")
      .slice(0, lineLimit)
      .map((line) => `      ${line}`),
  ]);
  if (failures.length > failureLimit) lines.push(`  … and ${failures.length - failureLimit} more`);
  return lines;
}

export default class TestReport {
  onTestRunEnd(modules, unhandled) {
    const totals = { passed: 0, failed: 0, skipped: 0 };
    const failures = [];
    const fail = (title, errors) => {
      totals.failed += 1;
      failures.push({ title, error: errors.map(describe).join("\n") || "it did not come to an end" });
    };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors = [] } = test.result();
        if (state === "failed" || (state === "pending" && module.state() !== "skipped"))
          fail(title(test), errors);
        else totals[state === "passed" ? "passed" : "skipped"] += 1;
      }
      for (const group of [module, ...module.children.allSuites()]) {
        if (group.errors().length > 0) fail(title(group), group.errors());
      }
    }
    for (const error of unhandled) {
      // Where it came from, as far as vitest knows: a test that runs at the time is not always the cause.
      const during = [
        error.VITEST_TEST_PATH && relative(process.cwd(), error.VITEST_TEST_PATH),
        error.VITEST_TEST_NAME,
      ];
      fail([error.type ?? "Unhandled error", ...during.filter(Boolean)].join(" › "), [error]);
    }
    writeFileSync(process.env.BOUGH_TEST_REPORT, JSON.stringify({ ...totals, failures }));
  }
}
