import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const core = fileURLToPath(new URL("..", import.meta.url));
const compiler = join(core, "node_modules/.bin/tsc");
const typeTests = readdirSync(join(core, "test/types"));

async function compile(args: readonly string[], cwd: string): Promise<string> {
  const result = await run(compiler, [...args, "--pretty", "false"], { cwd }).catch(
    (error: { stdout: string }) => error,
  );
  return result.stdout;
}

describe("the type tests", () => {
  let folder: string;

  beforeAll(() => {
    mkdirSync(join(core, ".doc-code"), { recursive: true });
    folder = mkdtempSync(join(core, ".doc-code/"));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("are all read by the type check of the package", async () => {
    const files = await compile(["-p", ".", "--listFilesOnly"], core);
    expect(typeTests).not.toEqual([]);
    for (const file of typeTests) expect(files).toContain(join("test/types", file));
  }, 60_000);

  it.each([
    [
      "flow.ts",
      "expectType<Promise<[string]>>()(all(scope, [() => aNumber]));",
      "expectType<Promise<unknown>>()(race(scope, workers));",
      "void all(scope, workers);",
    ],
    [
      "streams.ts",
      "expectType<AsyncIterableIterator<number>>()(iterate(scope, words));",
      "expectType<Promise<unknown>>()(useOperation(scope, () => operation));",
      "void pipe(scope, words, wordSink);",
    ],
  ])(
    "fail when a type is another one, and when what must be refused is not: %s",
    async (file, another, wider, right) => {
      const source = readFileSync(join(core, "test/types", file), "utf8")
        .replaceAll("../../src/", join(core, "src/"))
        .replaceAll("./same.js", join(core, "test/types/same.js"));
      const wrong = [another, wider, "// @ts-expect-error -- nothing is wrong here", right];
      writeFileSync(join(folder, "wrong.ts"), [source, ...wrong].join("\n"));
      writeFileSync(
        join(folder, "tsconfig.json"),
        JSON.stringify({ extends: join(core, "tsconfig.json"), include: ["wrong.ts"] }),
      );
      const output = await compile(["-p", folder], folder);
      const first = source.split("\n").length + 1;
      const lines = [...output.matchAll(/wrong\.ts\((\d+),/g)].map(([, line]) => Number(line));
      expect(lines).toEqual([first, first + 1, first + 2]);
    },
    60_000,
  );

  it("editors show what select() returns with its keys and values, and not by the name of a type", async () => {
    const source = `
      import { createChannel, select, withScope, type Selected } from "${join(core, "src/index.js")}";
      void withScope(async (scope) => {
        const shown: never = await select(scope, { job: createChannel<string>(), idle: 1_000 });
        const named: never = {} as Selected<{ quit: 5 }>;
        return [shown, named];
      });`;
    writeFileSync(join(folder, "shown.ts"), source);
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ extends: join(core, "tsconfig.json"), include: ["shown.ts"] }),
    );
    // The compiler prints a type in an error as an editor does in a hover text.
    const printed = [
      ...(await compile(["-p", folder], folder)).matchAll(/error TS2322: Type '(.*)' is not/g),
    ];
    expect(printed.map(([, type]) => type?.split(" | ").toSorted())).toEqual([
      [
        '{ readonly key: "idle"; readonly value: undefined; }',
        '{ readonly key: "job"; readonly value: string; }',
      ],
      ['{ readonly key: "quit"; readonly value: undefined; }'],
    ]);
  }, 60_000);
});
