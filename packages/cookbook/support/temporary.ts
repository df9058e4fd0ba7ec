import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A folder inside this package, so that imports are resolved as for its own files. For `using`. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const parent = fileURLToPath(new URL("../.temporary/", import.meta.url));
  mkdirSync(parent, { recursive: true });
  const path = mkdtempSync(parent);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
