import type { Application, Request } from "express";
import type { Label } from "../kernel/node.js";
import { recordOf } from "../http/request-records.js";
import { DefaultName } from "../http/messages.js";
import { stackOf } from "./router-stack.js";

// Finds the name of a route, which Express does not store, in the same way as Express finds the route.

/** Express's layer of a route or a middleware, with the differences between its versions. */
interface Layer {
  readonly route?: object | undefined;
  readonly handle: { readonly stack?: readonly Layer[] };
  /** The pattern, since router 2.3. */
  readonly rawPath?: unknown;
  /** Returns the match since router 2.3; earlier versions store it in the layer. */
  match(path: string): boolean | Match | undefined;
  readonly path?: string | undefined;
  readonly params?: Match["params"] | undefined;
}

interface Match {
  readonly path: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/**
 * The name of a request's scope: method and pattern of its route (`GET /orders/:id`), including the patterns of its
 * routers.
 *
 * It is computed on the first read, since most names are never read. Until a route has matched, it is the path; the
 * scope is renamed when the route is known. The scope treats this label as a function, and reads only its `name`.
 */
export function routeName(request: Request): Label {
  return new RouteName(request);
}

class RouteName {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  get name(): string {
    const request = this.#request;
    const name = nameByRoute(request);
    if (name !== undefined) return name;
    renameLater(request);
    return new DefaultName(request).name;
  }
}

/** Renames the scope of a request when its route is known. */
export function renameLater(request: Request): void {
  const record = recordOf(request);
  if (record !== undefined) record.resolveName = () => nameByRoute(request);
}

function nameByRoute(request: Request): string | undefined {
  const { route, method } = request as { route?: { path?: unknown }; method: string };
  if (route === undefined) return undefined;
  try {
    return `${method} ${patternOf(request, route)}`;
  } catch {
    return undefined; // for example, a parameter that can't be decoded
  }
}

/** The patterns of the routes that an app has itself: no value in the URL changes them. */
const patternsOfApps = new WeakMap<object, string>();

function patternOf(request: Request, route: { path?: unknown }): string {
  const known = patternsOfApps.get(route);
  if (known !== undefined) return known;
  const app = request.app as Application | undefined; // a router may be used without one
  const prefix = app === undefined ? "" : app.path();
  const stack = app === undefined ? [] : stackOf<Layer>(app);
  if (stack.some((layer) => layer.route === route)) {
    const pattern = join(prefix, textOf(route.path));
    patternsOfApps.set(route, pattern);
    return pattern;
  }
  const url = request.originalUrl;
  const end = url.search(/[?#]/);
  // Skips the segments of the mount path of a mounted app.
  const path = skipSegments(end < 0 ? url : url.slice(0, end), prefix.split("/").length - 1);
  const found = search(stack, route, path);
  return found === undefined ? join(request.baseUrl, textOf(route.path)) : join(prefix, found);
}

/** The pattern of `route` in a router, by way of the routers inside that match `path`. */
function search(stack: readonly Layer[], route: { path?: unknown }, path: string): string | undefined {
  for (const layer of stack) {
    if (layer.route === route) return textOf(route.path);
    if (layer.handle.stack === undefined) continue;
    const match = matchOf(layer, path);
    if (match === undefined) continue;
    const found = search(layer.handle.stack, route, path.slice(match.path.length) || "/");
    if (found !== undefined)
      return join(typeof layer.rawPath === "string" ? layer.rawPath : patternFrom(match), found);
  }
  return undefined;
}

function matchOf(layer: Layer, path: string): Match | undefined {
  const result = layer.match(path);
  if (result === undefined || result === false) return undefined;
  return result === true ? { path: layer.path ?? "", params: layer.params ?? {} } : result;
}

/**
 * The pattern of a router that does not store it: the path with the names of the parameters instead of their values.
 */
function patternFrom({ path, params }: Match): string {
  const names = new Map(Object.entries(params).map(([name, value]) => [String(value), name]));
  return path
    .split("/")
    .map((segment) => {
      const name = names.get(decodeURIComponent(segment));
      return name === undefined || segment === "" ? segment : `:${name}`;
    })
    .join("/");
}

/** The text of a pattern: the source of a regular expression, or several patterns joined by `|`. */
function textOf(path: unknown): string {
  return Array.isArray(path) ? path.map(String).join("|") : String(path);
}

function skipSegments(path: string, count: number): string {
  const rest = path.split("/").slice(count + 1);
  return `/${rest.join("/")}`;
}

function join(before: string, after: string): string {
  if (after === "/" && before !== "") return before;
  return before.endsWith("/") && after.startsWith("/") ? before + after.slice(1) : before + after;
}
