import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { withScope, type Scope } from "bough";
import type { Item } from "./items.js";

/**
 * Downloads `item` into the file `path`, which does not exist before the download is complete.
 *
 * **Cancellation:** ends the request and removes the part that has arrived. A download that is complete when the cancellation comes
 * is kept: the file is renamed in one step, so there is nothing to shield.
 *
 * @throws {Error} (as a rejection) What `fetch` rejects with, or that the server answered something other than 200.
 */
export function download(scope: Scope, item: Item, path: string): Promise<void> {
  const part = `${path}.part`;
  return withScope(scope, { name: item.name }, async (scope) => {
    scope.defer(() => rm(part, { force: true })); // once it has been renamed, there is none
    await withScope(scope, { name: "receive" }, (scope) => receive(scope, item, part));
    await rename(part, path); // closed by now: that was a cleanup of the scope above
  });
}

async function receive(scope: Scope, item: Item, path: string): Promise<void> {
  const { signal } = scope;
  const response = await fetch(item.url, { signal });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status} ${response.statusText}`.trimEnd());
  }
  item.size = Number(response.headers.get("content-length") ?? Number.NaN) || undefined;
  const file = await openIn(scope, path);
  for await (const chunk of response.body) {
    await file.writeFile(chunk);
    item.received += chunk.byteLength;
  }
  await file.sync(); // the name must not outlive the content in a crash
}

/** Not a stream: that would open the file some time later, perhaps after it has been removed. */
async function openIn(scope: Scope, path: string): Promise<FileHandle> {
  const file = await open(path, "w");
  scope.defer(() => file.close());
  return file;
}
