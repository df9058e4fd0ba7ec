import { expect, it } from "vitest";
import { withScope } from "../index.js";
import { AttachedTree } from "./attached-tree.js";
import type { DebuggingSession } from "./debugging-session.js";

it("returns the same look for concurrent calls: the process does one walk at a time", async () => {
  const slices: (string | null)[] = ['[{"id":1,"name":"background"}]', "null"];
  let begun = 0;
  const answers: Readonly<Record<string, (parameters: { functionDeclaration?: string }) => unknown>> = {
    "Runtime.evaluate": () => ({ objectId: "agent" }),
    "Runtime.callFunctionOn": ({ functionDeclaration = "" }) => {
      if (!functionDeclaration.includes("begin")) return { value: slices.shift() };
      begun += 1;
      return { value: '{"at":1,"copies":1,"unreadable":0}' };
    },
  };
  const session = {
    on: () => {},
    call: (method: string, parameters: object = {}) =>
      Promise.resolve({ result: answers[method]?.(parameters) }),
  } as unknown as DebuggingSession;
  await withScope(async (scope) => {
    const tree = new AttachedTree(scope, session, 1, () => "0");
    const [first, second] = await Promise.all([tree.look(), tree.look()]);
    expect(first).toEqual({ at: 1, nodes: [{ id: 1, name: "background" }] });
    expect(second).toBe(first);
    expect(begun).toBe(1);
    slices.push("null");
    expect((await tree.look()).nodes).toEqual([]); // and the next one looks again
  });
});
