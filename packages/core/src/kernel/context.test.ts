import { describe, expect, it } from "vitest";
import { thrown } from "../../test/support/deferred.js";
import {
  background,
  createContextKey,
  createScope,
  MissingContextError,
  ScopeClosedError,
  spawn,
} from "../index.js";

describe("get() and set()", () => {
  const key = createContextKey<string>("user");

  it("get() returns the nearest ancestor's value", () => {
    const root = createScope();
    const child = createScope(root);
    const leaf = createScope(child);
    root.set(key, "root");
    expect([root, child, leaf].map((scope) => scope.get(key))).toEqual(["root", "root", "root"]);
    child.set(key, "child");
    expect([root, child, leaf].map((scope) => scope.get(key))).toEqual(["root", "child", "child"]);
    child.set(key, "changed");
    expect(leaf.get(key)).toBe("changed");
  });

  it("get() reaches tasks, and a task's set() stays with it", async () => {
    const scope = createScope();
    scope.set(key, "scope");
    await spawn(scope, (task) => {
      expect(task.get(key)).toBe("scope");
      task.set(key, "task");
      expect(task.get(key)).toBe("task");
    });
    expect(scope.get(key)).toBe("scope");
  });

  it("get() returns the default, also if that is undefined, otherwise it throws", () => {
    const scope = createScope({ name: "here" });
    expect(scope.get(createContextKey("a", 1))).toBe(1);
    expect(scope.get(createContextKey<number | undefined>("b", undefined))).toBe(undefined);
    expect(background.get(createContextKey("a", 1))).toBe(1);
    const error = thrown(() => scope.get(key));
    expect(error).toBeInstanceOf(MissingContextError);
    expect(error).toMatchObject({ code: "BOUGH_MISSING_CONTEXT" });
  });

  it("get() returns a value that was set to undefined, and not the default", () => {
    const scope = createScope();
    const optional = createContextKey<string | undefined>("optional", "default");
    scope.set(optional, undefined);
    expect(scope.get(optional)).toBe(undefined);
  });

  it("keys are distinguished by identity, not by name", () => {
    const scope = createScope();
    const twin = createContextKey<string>("user", "default");
    scope.set(key, "value");
    expect(scope.get(twin)).toBe("default");
    expect([key.name, twin.name]).toEqual(["user", "user"]);
  });

  it("a root has no ancestors' values, also when it is made inside a worker", async () => {
    const scope = createScope();
    scope.set(key, "value");
    await spawn(scope, () => {
      expect(thrown(() => createScope().get(key))).toBeInstanceOf(MissingContextError);
    });
  });

  it("work in a cancelling scope; in a closed one get() does, and set() throws", async () => {
    const scope = createScope();
    scope.defer(() => scope.set(key, "in a defer"));
    await scope.close();
    expect(scope.get(key)).toBe("in a defer");
    expect(thrown(() => scope.set(key, "late"))).toBeInstanceOf(ScopeClosedError);
    expect(scope.get(key)).toBe("in a defer");
  });

  it("refuse what is not a key, also an object that looks like one, in a scope with values", () => {
    const scope = createScope();
    scope.set(key, "value");
    const others: unknown[] = ["user", undefined, { name: "user" }, new Proxy(key, {}), Object.create(key)];
    for (const other of others) {
      const message = /^(get|set): key must come from createContextKey\(\), got /;
      for (const call of [() => scope.get(other as typeof key), () => scope.set(other as typeof key, "x")]) {
        expect(thrown(call)).toBeInstanceOf(TypeError);
        expect(thrown(call)).toMatchObject({ message: expect.stringMatching(message) as string });
      }
    }
    expect(scope.get(key)).toBe("value");
  });
});
