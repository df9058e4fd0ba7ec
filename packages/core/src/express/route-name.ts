import type { Application, Request } from "express";
import type { Label } from "../kernel/node.js";
import { recordOf } from "../http/request.js";
import { nameOf } from "../http/messages.js";

/** What Express keeps of a route or a middleware. It differs between the versions. */
interface Layer {
  readonly route?: object | undefined;
  readonly handle: { readonly stack?: readonly Layer[] };
  /** The pattern, since router 2.3. */
  readonly rawPath?: unknown;
  /** Since router 2.3 it returns what it has found, before that it keeps it in the layer. */
  match(path: string): boolean | Match | undefined;
  readonly path?: string | undefined;
  readonly params?: Match["params"] | undefined;
}

interface Match {
  readonly path: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/**
 * The name of a request's scope: method and pattern of its route (`GET /orders/:id`), with the patterns of the routers
 * that it is in. Found out when somebody asks, as most do not. Before a route has matched, and where none does, it is the
 * path; then the scope is named again once the route is known.
 *
 * To a scope this is a function: of such a label, only `name` is read.
 */
export function routeName(request: Request): Label {
  return new RouteName(request) as unknown as Label;
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
    return nameOf(request);
  }
}

/** Has the scope of a request named again when its route is known. */
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
    return undefined; // a parameter that can't be decoded, say
  }
}

function patternOf(request: Request, route: { path?: unknown }): string {
  const app = request.app as Application | undefined; // a router may be used without one
  const prefix = app === undefined ? "" : app.path();
  const stack = app === undefined ? [] : stackOf(app);
  const url = request.originalUrl;
  const end = url.search(/[?#]/);
  // A mounted app is as many segments down as its mount path has.
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

/** Where the pattern is not kept: the path, with the parameters in place of their values. */
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

/** `app.router` throws in Express 4, and `app._router` is no more in Express 5. */
export function stackOf(app: Application): Layer[] {
  const router = (app as { _router?: object })._router ?? (app as unknown as { router: object }).router;
  return (router as { stack: Layer[] }).stack;
}

/** Of a regular expression, its source; of several patterns, all of them. */
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
