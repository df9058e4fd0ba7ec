// Runs before the package is packed: npm shows the README of the package, which is the one at the root.
import { copyFileSync, existsSync } from "node:fs";

for (const name of ["README.md", "LICENSE"]) {
  const source = new URL(`../../../${name}`, import.meta.url);
  if (!existsSync(source)) throw new Error(`${name} is missing at the root of the repository`);
  copyFileSync(source, new URL(`../${name}`, import.meta.url));
}
