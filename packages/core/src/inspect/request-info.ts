import type { ScopeNode } from "../kernel/node.js";

/** A request as a report shows it, without its query and its values. */
export interface RequestInfo {
  /** `GET`, `POST`, … */
  readonly method: string;
  /** The pattern of the route, or the path where the framework does not tell it. */
  readonly route: string;
  /** Once the head of the answer has been sent. */
  readonly status?: number;
}

/** The observer of a request's scope, `http/request.ts`, as far as this file reads it: it works for every host. */
interface RequestRecord {
  readonly request?: { readonly method?: unknown };
  readonly response?: { readonly headersSent?: unknown; readonly statusCode?: unknown };
  /** In the place of a response: 0 until there is an answer. */
  readonly statusCode?: unknown;
  updateName?(): void;
}

/**
 * The request that a scope serves, if it is one of a server.
 *
 * @param observer - That of the node, which it has no longer once it has settled.
 */
export function requestOf(node: ScopeNode, observer: unknown = node.observer): RequestInfo | undefined {
  const record = observer as RequestRecord | undefined;
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
