// Runs before the package is packed: npm shows the README of the package, which is the one at the root, and that and the
// docstrings refer to the docs.
import { cpSync, existsSync } from "node:fs";

for (const name of ["README.md", "LICENSE", "docs"]) {
  const source = new URL(`../../../${name}`, import.meta.url);
  if (!existsSync(source)) throw new Error(`${name} is missing at the root of the repository`);
  cpSync(source, new URL(`../${name}`, import.meta.url), { recursive: true });
}
