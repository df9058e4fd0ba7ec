import { describe, expect, it } from "vitest";
import { MissingContextError } from "./missing-context-error.js";
import { ScopeClosedError, StuckTasksError, type TaskInfo } from "./scope-errors.js";

const task = (name: string): TaskInfo => ({ name, path: `root/${name}`, status: "running", age: 5 });

describe("ScopeClosedError", () => {
  it("names the operation and the scope", () => {
    expect(new ScopeClosedError("spawn", 'a "b"').message).toBe('spawn: scope "a \\"b\\"" is closed');
  });
});

describe("StuckTasksError", () => {
  it("has all tasks, and names the first of them in its message", () => {
    const tasks = Array.from({ length: 12 }, (_, index) => task(`task-${index}`));
    const error = new StuckTasksError("root", 100, tasks);
    expect(error.tasks).toEqual(tasks);
    expect(error.message).toContain("root/task-0 (running, 5 ms old)");
    expect(error.message).toContain("100 ms");
    expect(error.message).not.toContain("task-11");
    expect(error.message).toContain("and 2 more");
  });
});

describe("MissingContextError", () => {
  it("names the key and the scope", () => {
    expect(new MissingContextError("user", "root/a").message).toMatch(/"user".*"root\/a"/);
  });
});
