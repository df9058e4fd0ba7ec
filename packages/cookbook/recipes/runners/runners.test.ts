import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.js";
import { recipesFolder, root } from "../../support/pages.js";
import { runNode, runProgram } from "../../support/programs.js";
import { temporaryFolder } from "../../support/temporary.js";

const bin = (path: string): string => fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url));

/** Copies a recipe twice: as it is, and with the line that stops the work left out. */
function plant(folder: string, recipe: string, line: string, name: string): void {
  const code = readFileSync(`${recipesFolder}${recipe}`, "utf8");
  expect(code).toContain(line);
  writeFileSync(join(folder, name.replace("*", "good")), code);
  const leaky = code.replace(line, "").replace(/^.*rejects.*\n/m, "");
  writeFileSync(join(folder, name.replace("*", "leaky")), leaky);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
}

describe("a test that leaves work running fails, and the same test that stops it passes", () => {
  it("in node:test", async () => {
    using folder = temporaryFolder();
    plant(folder.path, "runners/node-test.spec.js", "await service.close();", "*.test.js");
    const files = ["good", "leaky"].map((name) => join(folder.path, `${name}.test.js`));
    await using program = runNode(["--test", "--test-timeout=20000", ...files]);
    await eventually(() => expect(program.output()).toContain("LeakError"));
    await program.ended;
    expect(program.output()).toMatch(/pass 1\n[^]*fail 1\n/);
  });

  it("in Jest", async () => {
    using folder = temporaryFolder();
    plant(folder.path, "runners/jest.spec.js", "await service.close();", "*.spec.js");
    writeFileSync(join(folder.path, "jest.config.js"), "export default { transform: {} };");
    await using program = runNode([
      "--experimental-vm-modules",
      bin("jest/bin/jest.js"),
      "--forceExit", // the leak would hold the process
      "--rootDir",
      folder.path,
    ]);
    expect((await program.ended).code).toBe(1);
    expect(program.output()).toMatch(/PASS .*good[^]*Tests: +1 failed, 1 passed/);
    expect(program.output()).toContain("LeakError");
  });

  const bun = join(root, "node_modules/.cache/bough/nodes/bun/node_modules/.bin/bun");
  const isThere = existsSync(bun);
  it.skipIf(!isThere)(`in bun test${isThere ? "" : " (set BOUGH_ALL_NODES=1 to install bun)"}`, async () => {
    using folder = temporaryFolder();
    plant(folder.path, "runners/bun.spec.js", "await service.close();", "*.spec.js");
    await using program = runProgram(bun, ["test", folder.path]);
    expect((await program.ended).code).toBe(1);
    expect(program.output()).toContain("LeakError");
  });
});

it("Playwright: a fixture closes the scope of a test", async () => {
  using folder = temporaryFolder();
  for (const recipe of ["runners/playwright-fixture.js", "runners/playwright.spec.js"]) {
    copyFileSync(`${recipesFolder}${recipe}`, join(folder.path, basename(recipe)));
  }
  writeFileSync(join(folder.path, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder.path, "playwright.config.js"), 'export default { testMatch: "*.spec.js" };');
  await using program = runNode([
    bin("@playwright/test/cli.js"),
    "test",
    "--config",
    folder.path,
    "--reporter",
    "line",
  ]);
  expect((await program.ended).code, `${program.output()}`).toBe(0);
  expect(program.output()).toContain("1 passed");
});
