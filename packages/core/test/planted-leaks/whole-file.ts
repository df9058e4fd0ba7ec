import { beforeAll, expect, it } from "vitest";
import { createScope } from "../../src/index.js";
import "../../src/vitest/setup.js";

// For planted-leaks.test.ts: what the file and its hooks leave behind is found at the end of the file.

const ofTheModule = createScope({ name: "of the module" });
beforeAll(() => {
  setInterval(() => {}, 60_000);
});

it("leaks nothing itself", () => {
  expect(ofTheModule.state).toBe("open");
});
