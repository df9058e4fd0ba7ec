import type { ScopeNode } from "../kernel/node.js";

/** A request as a report shows it, without its query and its values. */
export interface RequestInfo {
  /** `GET`, `POST`, … */
  readonly method: string;
  /** The pattern of the route, or the path if the framework does not report the pattern. */
  readonly route: string;
  /** Once the head of the answer has been sent. */
  readonly status?: number;
}

/** The properties of a request's observer (`http/request.ts`, `web/exchange.ts`) that this file reads. */
interface ObservedRequest {
  readonly request?: { readonly method?: unknown };
  readonly response?: { readonly headersSent?: unknown; readonly statusCode?: unknown };
  /** Instead of a response: 0 until there is one. */
  readonly statusCode?: unknown;
  updateName?(): void;
}

/**
 * The request that a scope serves, or `undefined` if it is not the scope of a request.
 *
 * @param observer - The observer of the node. Pass it for a settled node, which has lost it.
 */
export function requestOf(node: ScopeNode, observer: unknown = node.observer): RequestInfo | undefined {
  const record = observer as ObservedRequest | undefined;
  const method = record?.request?.method;
  if (typeof method !== "string") return undefined;
  record?.updateName?.(); // the route may not have been known when the scope was made
  const [, named, route = node.name] = /^(\S+) (\/\S*)$/.exec(node.name) ?? [];
  const { statusCode = 0, headersSent = statusCode !== 0 } = record?.response ?? {
    statusCode: record?.statusCode,
  };
  return {
    method: named ?? method,
    route: route.replace(/[?#].*$/, ""),
    ...(headersSent === true && typeof statusCode === "number" ? { status: statusCode } : {}),
  };
}
