/** One file to download, and how far it is. */
export class Item {
  readonly url: string;
  /** Of the file. */
  readonly name: string;
  state: "waiting" | "running" | "done" | "skipped" | "failed" | "stopped" = "waiting";
  received = 0;
  /** Bytes, once the server has said so. */
  size: number | undefined = undefined;

  constructor(url: string, name: string) {
    this.url = url;
    this.name = name;
  }
}

/**
 * The files to download, each once.
 *
 * @throws {Error} If a URL is none of HTTP's, has no name for a file, or has the name of another one.
 */
export function itemsOf(urls: readonly string[]): Item[] {
  const items = new Map<string, Item>();
  for (const url of urls) {
    const name = nameOf(url);
    if (items.has(name)) throw new Error(`two URLs would be saved as ${name}`);
    items.set(name, new Item(url, name));
  }
  return [...items.values()];
}

function nameOf(url: string): string {
  if (!URL.canParse(url)) throw new Error(`no URL: ${url}`);
  const { protocol, pathname } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") throw new Error(`not an HTTP URL: ${url}`);
  const name = decode(pathname.slice(pathname.lastIndexOf("/") + 1));
  // Decoded, it may be a path: %2e%2e%2f.
  if (/^\.{0,2}$|[/\\\0]/.test(name)) throw new Error(`no name for a file in ${url}`);
  return name;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
