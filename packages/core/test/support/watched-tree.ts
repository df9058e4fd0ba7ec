import { detailFrom } from "../../src/cli/watch/watch.js";
import { initialState, toQuery, update, type Key, type State } from "../../src/cli/watch/model.js";
import { flatten, snapshot } from "../../src/inspect/index.js";
import { TreeFolder, type FoldQuery, type TreeSummary } from "../../src/inspect/fold-tree.js";
import type { ScopeHandle } from "../../src/index.js";

/** A look at a scope of this process, as `bough inspect --watch` has it of another one. */
function summaryOf(scope: ScopeHandle, query: FoldQuery, at: number = Date.now()): TreeSummary {
  const folder = new TreeFolder(query);
  for (const node of flatten(snapshot(scope))) folder.add(node);
  const { rows, counts, omitted, detail } = folder;
  return {
    at,
    rows,
    counts,
    omitted,
    created: 1_000,
    runtime: "node v20.20.0 shop.js",
    ...(detail === undefined ? {} : { detail }),
  };
}

/** The view after a look at a scope. */
export async function lookAt(
  scope: ScopeHandle,
  state: State = initialState("bough inspect 4711"),
): Promise<State> {
  const query = toQuery(state);
  const summary = summaryOf(scope, query);
  const detail = await detailFrom(summary, query);
  return update(state, { type: "summary", summary, detail });
}

/** Presses keys: single characters, or names in `<>`, as `"jj<return>"`. */
export function press(state: State, keys: string): State {
  let now = state;
  for (const [key, name] of keys.matchAll(/<([a-z-]+)>|./gu))
    now = update(now, { type: "key", key: keyOf(key, name) });
  return now;
}

function keyOf(key: string, name: string | undefined): Key {
  if (name === undefined) return { text: key, name: key.toLowerCase() };
  return name.startsWith("ctrl-") ? { name: name.slice(5), ctrl: true } : { name };
}
