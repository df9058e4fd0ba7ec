// Runs before the package is packed. npm shows the README of the package, and the README and the doc comments refer to the
// documentation, so all of them are copied from the root of the repository.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Notes for those who work on bough. They are not part of the package. */
const LEFT_OUT = "docs/maintainers";

/**
 * Copies README.md, LICENSE and docs/ from the folder `root` to `target`.
 *
 * A link to a file that `target` does not contain leads to `repository`, the URL of the repository. Without a repository
 * the link's text stays and the link goes.
 */
export function copyDocs(root, target, repository) {
  for (const name of ["README.md", "LICENSE", "docs"]) {
    const source = join(root, name);
    if (!existsSync(source)) throw new Error(`${name} is missing at the root of the repository`);
    rmSync(join(target, name), { recursive: true, force: true });
    cpSync(source, join(target, name), {
      recursive: true,
      filter: (path) => relative(root, path).split(sep).join("/") !== LEFT_OUT,
    });
  }
  const pages = readdirSync(join(target, "docs"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path) => posix.join("docs", path.split(sep).join("/")));
  for (const page of ["README.md", ...pages]) {
    const path = join(target, page);
    const text = readFileSync(path, "utf8");
    const changed = text.replace(
      /(!?)\[((?:[^\]\\]|\\.)*)\]\(([^()\s]+)\)/g,
      (link, image, label, address) => {
        if (/^(\w+:|#)/.test(address)) return link;
        const place = posix.join(posix.dirname(page), address.replace(/#.*/, ""));
        if (existsSync(join(target, place))) return link;
        return repository === undefined
          ? label
          : `${image}[${label}](${repository}/blob/HEAD/${posix.join(posix.dirname(page), address)})`;
      },
    );
    if (changed !== text) writeFileSync(path, changed);
  }
}

/** The address of the repository for people: `git+https://example.org/a/b.git` is `https://example.org/a/b`. */
export function repositoryOf(manifest) {
  const url = typeof manifest.repository === "string" ? manifest.repository : manifest.repository?.url;
  return url?.replace(/^git\+/, "").replace(/\.git$/, "");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const core = dirname(dirname(fileURLToPath(import.meta.url)));
  const manifest = JSON.parse(readFileSync(join(core, "package.json"), "utf8"));
  copyDocs(join(core, "../.."), core, repositoryOf(manifest));
}
