import { describe, expect, it, onTestFinished } from "vitest";
import { createScope } from "../task/create-scope.js";
import { spawn } from "../task/spawn.js";
import { sleep } from "../flow/time/sleep.js";
import type { ScopeHandle } from "../task/handle.js";
import { cursors } from "../kernel/tree.js";
import { flatten, snapshot, walk, type NodeInfo } from "./index.js";
import { openScope } from "../../test/support/open-scope.js";

const never = (): Promise<never> => new Promise(() => {});

async function all(slices: AsyncIterable<readonly NodeInfo[]>): Promise<NodeInfo[]> {
  const found: NodeInfo[] = [];
  for await (const slice of slices) found.push(...slice);
  return found;
}

/** A reproducible sequence of whole numbers below a bound. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % sides;
  };
}

describe("walk()", () => {
  it("yields the scopes of a snapshot, parents first and children in spawn order", async () => {
    const root = openScope("root");
    const pool = createScope(root, { name: "pool", onOrphan: "ignore" });
    spawn(pool, (task) => sleep(task, 60_000), { name: "sleeper" });
    spawn(root, never, { name: "job" });
    const found = await all(walk(root));
    const known = flatten(snapshot(root));
    expect(found.map(({ id, parent, name }) => [id, parent, name])).toEqual(
      known.map(({ id, parent, name }) => [id, parent, name]),
    );
    expect(found[2]?.waits?.[0]).toMatchObject({ operation: "sleep" });
    root.cancel();
  });

  it("begins at the background without a scope", async () => {
    const root = openScope("a root that a walk finds");
    const [first, ...others] = await all(walk());
    expect(first).toMatchObject({ kind: "background" });
    expect(first).not.toHaveProperty("parent");
    expect(others.map(({ name }) => name)).toContain(root.name);
  });

  it("yields to the event loop between two slices", async () => {
    const root = openScope("root");
    for (let index = 0; index < 100; index++) spawn(root, never);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    onTestFinished(() => clearInterval(timer));
    let slices = 0;
    for await (const slice of walk(root, { slice: 0 })) {
      slices += 1;
      expect(slice.length).toBeLessThanOrEqual(16);
    }
    expect(slices).toBe(7);
    root.cancel();
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "describes a scope that is alive all the time exactly once while the tree changes (run %d)",
    async (seed) => {
      const roll = dice(seed);
      const root = openScope("root");
      const alive: ScopeHandle[] = [root];
      const parents = new Map<ScopeHandle, ScopeHandle>();
      const grow = (): void => {
        const parent = alive[roll(alive.length)] as ScopeHandle;
        const scope = createScope(parent, { name: `${alive.length}`, onOrphan: "ignore" });
        parents.set(scope, parent);
        alive.push(scope);
      };
      for (let index = 0; index < 300; index++) grow();
      const before = new Set(flatten(snapshot(root)).map(({ id }) => id));
      const found: NodeInfo[] = [];
      for await (const slice of walk(root, { slice: 0 })) {
        found.push(...slice);
        for (let change = 0; change < 20; change++) {
          if (roll(2) === 0) grow();
          else {
            // Most have nothing below: else a close near the root would leave next to nothing.
            const inner = new Set(alive.map((scope) => parents.get(scope)));
            const leaves = alive.filter((scope) => !inner.has(scope));
            const from = roll(30) === 0 ? alive.slice(100) : leaves;
            await from[roll(from.length)]?.close();
            for (let other = alive.length - 1; other > 0; other--)
              if (alive[other]?.state === "closed") alive.splice(other, 1);
          }
        }
      }
      const after = new Set(flatten(snapshot(root)).map(({ id }) => id));
      const ids = found.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const always = [...before].filter((id) => after.has(id));
      expect(always.length).toBeGreaterThan(10);
      expect(ids).toEqual(expect.arrayContaining(always));
      const seen = new Set<number>([found[0]?.id ?? 0]);
      const [, ...below] = found;
      for (const { id, parent } of below) {
        expect(seen.has(parent as number)).toBe(true);
        seen.add(id);
      }
    },
  );

  it("ends when its root has settled meanwhile", async () => {
    const root = createScope({ name: "root" });
    for (let index = 0; index < 40; index++) spawn(root, (task) => sleep(task, 60_000));
    const slices = walk(root, { slice: 0 });
    expect((await slices.next()).value).toHaveLength(16);
    await root.close();
    expect(await all(slices)).toEqual([]);
    expect(cursors).toEqual([]);
  });

  it("leaves nothing in the tree when it is left early", async () => {
    const root = openScope("root");
    for (let index = 0; index < 40; index++) spawn(root, never);
    for await (const slice of walk(root, { slice: 0 })) {
      expect(slice).toHaveLength(16);
      expect(cursors).toHaveLength(1);
      break;
    }
    expect(cursors).toEqual([]);
    root.cancel();
  });

  it("rule 18: walks 100,000 levels", async () => {
    const root = openScope("deep");
    const handles = [root]; // kept, or the collector would close the levels
    for (let level = 1; level < 100_000; level++)
      handles.push(createScope(handles.at(-1) as ScopeHandle, { name: "x", onOrphan: "ignore" }));
    expect(await all(walk(root))).toHaveLength(handles.length);
  });

  it("refuses wrong arguments by name", () => {
    expect(() => walk(1 as never)).toThrow(TypeError);
    expect(() => walk(openScope("x"), { slice: -1 })).toThrow(RangeError);
    expect(() => walk(openScope("x"), { budget: 1 } as never)).toThrow(/budget/);
  });
});
