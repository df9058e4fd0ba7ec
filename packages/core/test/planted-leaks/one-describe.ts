import { describe, it } from "vitest";
import { createScope } from "../../src/index.js";
import { checkLeaks } from "../../src/vitest/index.js";

// For planted-leaks.test.ts: a check of one describe leaves the others alone.

const kept: unknown[] = [];

describe("checked", () => {
  checkLeaks({ timeout: 20, ignore: /^known/ });
  it("leaks", () => {
    kept.push(createScope({ name: "leak" }));
  });
  it("leaks what is ignored", () => {
    kept.push(createScope({ name: "known leak" }));
  });
  it("fails, and leaks", () => {
    kept.push(createScope({ name: "follows from the failure" }));
    throw new Error("its own failure");
  });
});

describe("unchecked", () => {
  it("leaks, too", () => {
    kept.push(createScope({ name: "unchecked" }));
  });
});
