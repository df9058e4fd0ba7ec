import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodes } from "../support/nodes.js";
import { execute } from "../support/process.js";
import { anywhere, runtimes } from "../support/runtimes.js";
import { collectedCases } from "./collected.js";
import type { Finding } from "./handles.js";
import type { MassReport } from "./mass.js";
import { pinnedCases } from "./pinned.js";
import type { Report } from "./program.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const document = readFileSync(new URL("../../../../docs/orphans.md", import.meta.url), "utf8");
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-gc-"));
  await build({
    entryPoints: ["program.ts", "mass.ts", "handles.ts", "requests.ts"].map((name) => join(here, name)),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    ...anywhere,
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(runtimes().map((runtime) => ({ ...runtime })))("rule 19 on $label", ({ host, run }) => {
  let report: Report;

  beforeAll(async () => {
    if (run !== undefined) report = JSON.parse(await run(join(folder, "program.mjs"))) as Report;
  }, 90_000);

  it.skipIf(run === undefined)(
    "a dropped scope is cancelled as orphaned, its workers stop, its defers run",
    () => {
      expect(report.behaviour.log).toEqual(["cancelled: orphaned, outer", "worker stopped", "cleaned up"]);
      expect(report.behaviour.info).toEqual({
        name: "outer",
        path: "outer",
        age: expect.any(Number) as number,
        liveTasks: 1,
      });
    },
  );

  it.skipIf(run === undefined)("warns once, and names the creation site when tracing is on", () => {
    expect(report.behaviour.warnings).toHaveLength(1);
    expect(report.behaviour.warnings[0]).toContain('"forgotten"');
    expect(report.behaviour.site).toMatch(/:\d+:\d+/);
  });

  it.skipIf(run === undefined)("an error that onOrphan throws goes to onError", () => {
    expect(report.behaviour.thrownByOnOrphan).toBe("from onOrphan");
  });

  it.skipIf(run === undefined)("a scope that was closed or is held is not an orphan", () => {
    expect(report.behaviour.notOrphaned).toEqual([]);
    expect(report.behaviour.heldState).toBe("open");
  });

  it.skipIf(run === undefined)("the rows of docs/orphans.md hold", () => {
    const enough = host === "bun" ? 4 : 8; // its collector is conservative: it may take a stale slot for a reference
    const wrong = report.rows.filter(({ expected, collected }) =>
      expected === "collected" ? collected < enough : collected > 0,
    );
    expect(wrong).toEqual([]);
    // An orphan, unless it was closed or cancelled before.
    const silent = report.rows.filter(({ collected, orphaned }) => collected > 0 && orphaned === 0);
    expect(silent.map(({ row }) => row)).toEqual(
      collectedCases
        .filter(
          (one) => one.orphaned === false && report.rows.some((r) => r.row === one.row && r.collected > 0),
        )
        .map(({ row }) => row),
    );
  });
});

describe.each(runtimes().map((runtime) => ({ ...runtime })))("rule 24 on $label", ({ run }) => {
  it.skipIf(run === undefined)(
    "results in use hold their handle, handles show what their objects show, and rings of handles are collected",
    async () => {
      const findings = JSON.parse((await run?.(join(folder, "handles.mjs"))) ?? "") as Finding[];
      expect(findings.length).toBeGreaterThan(24);
      expect(findings.filter(({ got, want }) => JSON.stringify(got) !== JSON.stringify(want))).toEqual([]);
    },
    90_000,
  );
});

describe.each(runtimes().map((runtime) => ({ ...runtime })))("rule 20 on $label", ({ run }) => {
  it.skipIf(run === undefined)(
    "a fetchBough that was dropped serves its requests to their ends, and is collected then",
    async () => {
      const findings = JSON.parse((await run?.(join(folder, "requests.mjs"))) ?? "") as Finding[];
      expect(findings.length).toBeGreaterThan(6);
      expect(findings.filter(({ got, want }) => JSON.stringify(got) !== JSON.stringify(want))).toEqual([]);
    },
    90_000,
  );
});

describe.each(nodes().map((node) => ({ ...node })))("on $label", ({ path }) => {
  it.skipIf(path === undefined)(
    "65,536 dropped self-cleaning workers are all stopped, and the memory is back",
    async () => {
      const { code, stdout, output } = await execute(path as string, [join(folder, "mass.mjs")], "/");
      if (code !== 0) throw new Error(output);
      const report = JSON.parse(stdout) as MassReport;
      expect(report.started).toBe(report.count);
      expect(report.stopped).toBe(report.count);
      expect(report.kept).toBeLessThan(report.grown * 0.03);
    },
    90_000,
  );
});

describe("docs/orphans.md", () => {
  const rowsOf = (heading: string): string[] => {
    const section = document.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
    const rows = section.split("\n").filter((line) => line.startsWith("| "));
    return rows.slice(2).map((line) => (line.split(" | ")[0] as string).slice(2).trim());
  };

  it("has a row for each case that is collected, in their order", () => {
    expect(rowsOf("What is collected")).toEqual(collectedCases.map(({ row }) => row));
  });

  it("has a row for each case that is not", () => {
    expect(rowsOf("What is not collected")).toEqual(pinnedCases.map(({ row }) => row));
  });
});
