import { sleep, spawn } from "bough";
import { createElement, StrictMode, useState, type ReactNode } from "react";
import { act, create, type ReactTestRenderer } from "react-test-renderer";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useScope } from "./react.js";

beforeEach(() => vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true));
afterEach(() => vi.unstubAllGlobals());

const ended: string[] = [];
const answers = new Map<number, { resolve(user: string): void; reject(error: unknown): void }>();

function loadUser(id: number): Promise<string> {
  return new Promise((resolve, reject) => answers.set(id, { resolve, reject }));
}

function User({ id }: { id: number }): ReactNode {
  const [shown, show] = useState("…");
  useScope(
    (scope) => {
      spawn(scope, async function load(task) {
        task.onCancel(({ cause }) => ended.push(`${id} ${String(cause)}`));
        show(await loadUser(id));
        await sleep(task, 60_000);
      });
    },
    [id],
    (error) => show(`failed: ${String(error)}`),
  );
  return shown;
}

async function render(id: number): Promise<ReactTestRenderer> {
  ended.length = 0;
  let root!: ReactTestRenderer;
  await act(async () => void (root = create(createElement(User, { id }))));
  return root;
}

it("cancels the tasks of an effect when its component unmounts", async () => {
  const root = await render(1);
  await act(async () => answers.get(1)!.resolve("Ada"));
  expect(root.toJSON()).toBe("Ada");
  expect(ended).toEqual([]);
  await act(async () => root.unmount());
  expect(ended).toEqual(["1 unmounted"]);
});

it("cancels the tasks of an effect before it runs again", async () => {
  const root = await render(1);
  await act(async () => root.update(createElement(User, { id: 2 })));
  expect(ended).toEqual(["1 unmounted"]);
  await act(async () => answers.get(2)!.resolve("Grace"));
  expect(root.toJSON()).toBe("Grace");
  await act(async () => root.unmount());
});

it("tells the component of a failure", async () => {
  const root = await render(1);
  await act(async () => answers.get(1)!.reject(new Error("no such user")));
  expect(root.toJSON()).toBe("failed: Error: no such user");
  await act(async () => root.unmount());
});

it("works in the strict mode of React, which runs each effect twice", async () => {
  ended.length = 0;
  let root!: ReactTestRenderer;
  await act(
    async () => void (root = create(createElement(StrictMode, null, createElement(User, { id: 3 })))),
  );
  expect(ended).toEqual(["3 unmounted"]);
  await act(async () => answers.get(3)!.resolve("Linus"));
  expect(root.toJSON()).toBe("Linus");
  await act(async () => root.unmount());
});
