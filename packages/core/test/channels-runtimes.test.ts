import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anywhere, runtimes } from "./support/runtimes.js";

// docs/diagnostics.md says where there are channels. The browser's report goes the way of its other programs.
const program = `
  import { spawn, withScope } from "./index.ts";
  const channels = globalThis.process?.getBuiltinModule?.("node:diagnostics_channel");
  const heard = [];
  for (const name of ["scope:open", "task:start", "task:settle", "scope:close"])
    channels?.subscribe("bough:" + name, ({ scope }) => heard.push(name + " " + scope.path));
  await withScope({ name: "root" }, (scope) => spawn(scope, async function worker() {}));
  const report = JSON.stringify(heard);
  if (globalThis.gcReport !== undefined) globalThis.gcReport(report);
  else console.log(report);
`;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-channels-"));
  await build({
    stdin: { contents: program, resolveDir: fileURLToPath(new URL("../src", import.meta.url)), loader: "ts" },
    outfile: join(folder, "program.mjs"),
    ...anywhere,
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(runtimes().map((runtime) => ({ ...runtime })))("rule 27 on $label", ({ host, run }) => {
  it.skipIf(run === undefined)(
    "bough publishes on channels where the runtime has them",
    { timeout: 60_000 },
    async () => {
      const heard: unknown = JSON.parse((await run?.(join(folder, "program.mjs"))) ?? "");
      const all = [
        "scope:open root",
        "task:start root/worker",
        "task:settle root/worker",
        "scope:close root",
      ];
      expect(heard).toEqual(host === "browser" ? [] : all);
    },
  );
});
