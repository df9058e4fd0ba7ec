import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from "node:http";
import type { TreeSource } from "../inspect/index.js";
import { wrongType } from "../errors/validate.js";
import { readAssets, type Assets } from "./assets.js";
import { detailOf } from "./detail.js";
import { Guard } from "./guard.js";
import { listen, type ListenOptions } from "./listen.js";
import type { LiveTree } from "./live-tree.js";
import { TreeCache } from "./tree-cache.js";
import { checkPageOptions, type PageOptions } from "./options.js";
import type { PageSource } from "./page-source.js";
import { requestRows } from "./request-rows.js";
import { findRows, treeRows } from "./rows.js";
import { Streams } from "./stream.js";
import { TreeWatcher } from "./tree-watcher.js";
import { frameOf } from "./page-data.js";

/** A live page that shows a tree. */
export interface Inspector {
  /** The secret that a client must send, except on the unix socket of `listen()`: the page is at `/?token=…`. */
  readonly token: string;
  /**
   * Handles a request for the page. Can be mounted in any server, under any path that ends with a slash.
   *
   * @param request - A request of `node:http`, or of a framework on top of it.
   * @param response - Its response.
   */
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Serves the page: on a unix socket with mode 0600, or on a TCP port of 127.0.0.1. Does not keep the process alive.
   *
   * @param options - The address. Default: a unix socket in the folder for temporary files.
   * @returns The path of the socket, or the address of the page with its token.
   */
  readonly listen: (options?: ListenOptions) => Promise<string>;
  /**
   * Closes the open pages and stops listening.
   *
   * @returns Settles when everything is closed.
   */
  readonly close: () => Promise<void>;
}

/** How old the look may be from which a request of a page is answered, in ms. */
const MAX_LOOK_AGE = 500;
const DEFAULT_CLIENTS = 4;

/**
 * Creates the page for a tree from any source: this process or another one.
 *
 * @param source - The source of the looks. It is used only while a page is open.
 * @param options - The token, host names and limits.
 * @returns The page, which can be served on its own address or mounted in a server.
 * @throws {TypeError | RangeError} If `source` has no `look()`, or an option is wrong.
 * @example
 * ```ts no-run
 * const page = servePage({ async look() { return { at: Date.now(), nodes: flatten(snapshot()) }; } });
 * console.log(await page.listen({ port: 0 })); // http://127.0.0.1:41873/?token=…
 * ```
 */
export function servePage(source: TreeSource, options: PageOptions = {}): Inspector {
  if (typeof (source as TreeSource | undefined)?.look !== "function")
    throw wrongType("servePage", "source must be an object with a method look()", source);
  checkPageOptions("servePage", options);
  return createPage(source, options);
}

/** Like {@link servePage}, without checking the options. */
export function createPage(source: PageSource, options: PageOptions): Inspector {
  const page = new Page(source, options);
  const handler: Inspector["handler"] = (request, response) => page.answer(request, response, false);
  // A unix socket of another server may be open to everyone, through a proxy for example.
  const server = createServer((request, response) =>
    page.answer(request, response, typeof server.address() === "string"),
  );
  let started: Promise<unknown> = Promise.resolve();
  server.on("connection", (socket) => socket.unref());
  return {
    token: page.guard.token,
    handler,
    async listen(where = {}) {
      const listening = listen(server, where);
      started = Promise.allSettled([started, listening]);
      const address = await listening;
      return typeof address === "string" ? address : `http://127.0.0.1:${address}/?token=${page.guard.token}`;
    },
    async close() {
      page.end();
      await started;
      if (!server.listening) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

const headers: OutgoingHttpHeaders = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

type Query = URLSearchParams;

class Page {
  readonly guard: Guard;
  readonly #options: PageOptions;
  readonly #source: PageSource;
  readonly #cache: TreeCache;
  readonly #streams: Streams;
  #watcher: TreeWatcher | undefined;
  #assets: Assets | undefined;

  constructor(source: PageSource, options: PageOptions) {
    this.guard = new Guard(options.token, options.hosts);
    this.#options = options;
    this.#cache = new TreeCache(source);
    this.#source = source;
    const interval = options.interval ?? 1_000;
    this.#streams = new Streams({
      next: () => this.#frame(),
      pause: () => Math.max(interval, this.#cache.pause),
      onFirstOpen: () => source.onFirstPage?.(),
      onLastClose: () => this.#stopLooking(),
    });
  }

  end(): void {
    this.#streams.end();
  }

  /** @param isPrivate - Whether only the user of the process can have sent the request. */
  answer(request: IncomingMessage, response: ServerResponse, isPrivate: boolean): void {
    // Frameworks remove the mount path from `request.url`, and keep the whole path here.
    const { originalUrl } = request as { originalUrl?: unknown };
    const target = typeof originalUrl === "string" ? originalUrl : (request.url ?? "/");
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    const query = new URLSearchParams(mark < 0 ? "" : target.slice(mark + 1));
    const refusal = this.guard.refuse(request, query.get("token"), isPrivate);
    if (refusal !== undefined)
      return send(
        response,
        refusal.status,
        "text/plain",
        refusal.text,
        refusal.status === 405 ? { Allow: "GET, HEAD" } : {},
      );
    if (path.endsWith("/") && query.has("token"))
      // Move the token from the address into the cookie.
      return send(response, 303, "text/plain", "", { Location: "./", "Set-Cookie": this.guard.cookie });
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name !== "" && request.url === "/") {
      const search = mark < 0 ? "" : target.slice(mark);
      return send(response, 303, "text/plain", "", { Location: `./${name}/${search}` });
    }
    this.#route(name, query, request, response);
  }

  #route(name: string, query: Query, request: IncomingMessage, response: ServerResponse): void {
    switch (name) {
      case "":
        return this.#file(response, "html", "text/html");
      case "page.css":
        return this.#file(response, "css", "text/css");
      case "page.js":
        return this.#file(response, "js", "text/javascript");
      case "events":
        return this.#open(request, response);
      case "tree":
        return this.#json(response, (tree) => treeOf(tree, query));
      case "requests":
        return this.#json(response, (tree) =>
          requestRows(tree, this.#source.activity, new Set(list(query.get("open")))),
        );
      case "node":
        return this.#json(response, (tree) =>
          detailOf(tree, Number(query.get("id")), this.#options.causes === true),
        );
      default:
        return send(response, 404, "text/plain", "There is no such page.");
    }
  }

  #file(response: ServerResponse, name: keyof Assets, type: string): void {
    this.#assets ??= readAssets();
    const text = this.#assets[name];
    const title = this.#options.title ?? `process ${process.pid}`;
    send(response, 200, type, name === "html" ? text.replaceAll("{{title}}", () => escapeHtml(title)) : text);
  }

  #open(request: IncomingMessage, response: ServerResponse): void {
    const { clients = DEFAULT_CLIENTS } = this.#options;
    if (this.#streams.size >= clients)
      return send(response, 503, "text/plain", `${clients} pages are open. Close one of them.`);
    // HTTP/2 does not allow this header.
    const own = request.httpVersionMajor >= 2 ? {} : { Connection: "close" };
    response.writeHead(200, { ...headers, ...own, "Content-Type": "text/event-stream; charset=utf-8" });
    if (request.method === "HEAD") return void response.end();
    this.#streams.add(request, response);
  }

  #frame(): Promise<string> {
    return this.#cache.use(0, async (tree) => {
      this.#watcher ??= new TreeWatcher(this.#options.causes === true);
      return JSON.stringify(await frameOf(tree, this.#watcher.find(tree), this.#source.activity));
    });
  }

  /** Drops all data and stops the measurements when no page is open. */
  #stopLooking(): void {
    this.#watcher = undefined;
    this.#cache.forget();
    this.#source.onLastPageClosed?.();
  }

  #json(response: ServerResponse, make: (tree: LiveTree) => unknown): void {
    const answer = this.#cache.use(MAX_LOOK_AGE, make);
    const end = (): void => {
      if (this.#streams.size === 0) this.#stopLooking();
    };
    answer.then(
      (value) => {
        end();
        if (value === undefined) send(response, 404, "application/json", '{"error":"It has ended."}');
        else send(response, 200, "application/json", JSON.stringify(value));
      },
      (error: unknown) => {
        end();
        const text = error instanceof Error ? error.message : "The tree can't be read.";
        send(response, 500, "application/json", JSON.stringify({ error: text }));
      },
    );
  }
}

async function treeOf(tree: LiveTree, query: Query): Promise<unknown> {
  const text = query.get("find") ?? "";
  const pages = new Map<string, number>();
  for (const each of list(query.get("pages"))) {
    const [key = "", count] = each.split(":");
    const number = Number(count);
    if (Number.isInteger(number) && number > 0) pages.set(key, number);
  }
  const found =
    text === ""
      ? { rows: treeRows(tree, new Set(list(query.get("toggled"))), pages), total: tree.byId.size }
      : await findRows(tree, text, pages.get("") ?? 1);
  return { at: tree.head.at, ...found };
}

const list = (text: string | null): string[] => (text === null || text === "" ? [] : text.split(","));

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => entities[character] as string);

function send(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  more: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { ...headers, ...more, "Content-Type": `${type}; charset=utf-8` });
  response.end(text);
}
