import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export interface Link {
  /** Where it stands: `docs/http.md:12`. */
  readonly place: string;
  /** As it is written: `../README.md#install`. */
  readonly address: string;
}

/** The links and pictures of a Markdown page that lead to another place of the repository or of the page. */
export function linksOf(root: string, page: string): Link[] {
  const links: Link[] = [];
  proseOf(readFileSync(join(root, page), "utf8")).forEach((line, index) => {
    const addresses = [
      ...line.matchAll(/\]\(([^()\s]+)\)/g),
      ...line.matchAll(/\b(?:src|href)="([^"]+)"/g),
      ...line.matchAll(/^\[(?!\^)[^\]]+\]:\s+(\S+)/g),
    ];
    for (const [, address = ""] of addresses) {
      if (!/^\w+:/.test(address)) links.push({ place: `${page}:${index + 1}`, address });
    }
  });
  return links;
}

/** Says why a link leads nowhere below `root`; `undefined` if it leads somewhere. */
export function brokenBecause(root: string, { place, address }: Link): string | undefined {
  const page = place.replace(/:\d+$/, "");
  const [path = "", anchor] = address.split("#");
  const target = path === "" ? join(root, page) : join(root, dirname(page), decodeURIComponent(path));
  if (relative(root, target).startsWith("..")) return `${address} leaves the folder`;
  if (!existsSync(target)) return `${relative(root, target)} does not exist`;
  if (anchor === undefined || statSync(target).isDirectory()) return undefined;
  const anchors = anchorsOf(readFileSync(target, "utf8"));
  return anchors.has(anchor) ? undefined : `${relative(root, target)} has no heading #${anchor}`;
}

/** The anchors that a page's headings get, as GitHub and npm make them. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const line of proseOf(text, true)) {
    const heading = /^#{1,6}\s+(.*?)\s*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-");
    let unique = slug;
    for (let copy = 1; anchors.has(unique); copy++) unique = `${slug}-${copy}`;
    anchors.add(unique);
  }
  return anchors;
}

/** The lines of a page, with code left out so that line numbers stay. */
function proseOf(text: string, keepInlineCode = false): string[] {
  let fenced = false;
  return text.split("\n").map((line) => {
    const fence = /^\s*(```|~~~)/.test(line);
    if (fence) fenced = !fenced;
    if (fence || fenced) return "";
    return keepInlineCode ? line : line.replaceAll(/`[^`]*`/g, "`code`");
  });
}
