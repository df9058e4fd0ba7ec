import type { Snapshot } from "./unflatten.js";

/**
 * Converts a snapshot of any depth to JSON. `JSON.stringify` recurses, and overflows the stack at some thousand levels;
 * `JSON.parse` does not.
 *
 * @param snapshot - The result of `snapshot()`.
 * @returns The same text as `JSON.stringify(snapshot)`.
 * @example
 * ```ts
 * await withScope({ name: "server" }, (scope) => {
 *   console.log(JSON.parse(stringifyTree(snapshot(scope))).name); // server
 * });
 * ```
 */
export function stringifyTree(snapshot: Snapshot): string {
  let text = "";
  const todo: (Snapshot | string)[] = [snapshot];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (typeof at === "string") {
      text += at;
      continue;
    }
    const { children, ...own } = at;
    // `children` is the last property of a snapshot, so the text is that of `JSON.stringify`.
    text += `${JSON.stringify(own).slice(0, -1)},"children":[`;
    todo.push("]}");
    for (let index = children.length - 1; index >= 0; index--) {
      todo.push(children[index] as Snapshot);
      if (index > 0) todo.push(",");
    }
  }
  return text;
}
