import { describe, expect, it } from "vitest";
import { createScope, spawn, withScope, type ScopeOptions, type TaskOptions } from "../index.js";

// Bad ones are in test/bad-input.test.ts; what each option does is beside what implements it.

describe("options", () => {
  const none: Required<{ [K in keyof ScopeOptions]: undefined }> &
    Required<{ [K in keyof TaskOptions]: undefined }> = {
    name: undefined,
    signal: undefined,
    timeout: undefined,
    deadline: undefined,
    daemon: undefined,
    supervise: undefined,
    concurrency: undefined,
    grace: undefined,
    onError: undefined,
    isCancellation: undefined,
    onOrphan: undefined,
    holdsProcess: undefined,
  };

  it("an option that is undefined counts as absent", async () => {
    const scope = createScope(none);
    expect([scope.name, scope.deadline, scope.state]).toEqual(["anonymous", undefined, "open"]);
    expect(createScope(scope, undefined).path).toBe("anonymous/anonymous");
    expect(await withScope(none, ({ name }) => name)).toBe("anonymous");
    expect(await spawn(scope, ({ name }) => name, none)).toBe("anonymous");
    expect(await spawn(scope, ({ name }) => name, undefined)).toBe("anonymous");
    await scope.close();
  });

  it("are never changed: a frozen object can be shared", async () => {
    const options = Object.freeze({
      name: "shared",
      timeout: 60_000,
      concurrency: 2,
      supervise: true,
    } as const);
    const scopes = [createScope(options), createScope(options)];
    expect(scopes.map(({ name }) => name)).toEqual(["shared", "shared"]);
    await Promise.all(scopes.map((scope) => scope.close()));
  });

  it("may come with a prototype or without one", () => {
    class Defaults {
      readonly name = "from a class";
    }
    expect(createScope(new Defaults()).name).toBe("from a class");
    expect(createScope(Object.assign(Object.create(null) as object, { name: "bare" })).name).toBe("bare");
    expect(createScope(Object.create({ name: "inherited" }) as ScopeOptions).name).toBe("inherited");
  });

  it("a name may be anything, the empty string included", () => {
    for (const name of ["", "a/b", "…", "x".repeat(1000)]) expect(createScope({ name }).name).toBe(name);
  });

  it("createScope(undefined) is a root, withScope(undefined, body) is refused: a parent that got lost", async () => {
    expect(createScope(undefined).path).toBe("anonymous");
    await expect(withScope(undefined as never, () => 1)).rejects.toThrow(TypeError);
  });
});
