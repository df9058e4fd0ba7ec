import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type {
  ScopeCloseMessage,
  ScopeOpenMessage,
  TaskSettleMessage,
  TaskStartMessage,
} from "../inspect/index.js";
import { requestOf } from "../inspect/request-info.js";
import { patternOfName } from "../inspect/similar.js";
import { shortSite } from "../inspect/groups.js";
import { ScopeNode } from "../kernel/node.js";
import { realNow } from "../kernel/platform.js";
import type { Scope } from "../kernel/scope.js";
import { hasHandle, isDaemon, isTask } from "../kernel/state.js";
import { statusOf } from "../kernel/status.js";
import { PlaceHistory } from "./place-history.js";
import { Requests, type Bar, type RequestTrace } from "./request-traces.js";
import { Sampler } from "./sampler.js";
import { placeKey, withoutQuery } from "./tree-entry.js";

/** The maximum number of places with their own history. All further places share one. */
const MAX_PLACES = 300;
/**
 * How many new scopes are followed each second, and how many new requests with the scopes below them. Of more, a share
 * is followed.
 */
const MAX_FOLLOWED_PER_SECOND = 1_000;
const MAX_FOLLOWED_REQUESTS_PER_SECOND = 200;
/** How many names are cached, so that the pattern of a name is not computed for each task. */
const MAX_NAMES = 2_000;

/** A followed scope, until it settles. */
interface FollowedScope {
  readonly begun: number;
  /** The number of scopes that it represents: see {@link Sampler}. */
  readonly weight: number;
  /** Absent for a request, and for a scope that is followed only as a part of its request. */
  readonly history: PlaceHistory | undefined;
  /** The request that it belongs to. */
  readonly trace: RequestTrace | undefined;
  readonly bar: Bar | undefined;
  /** The observer of a request's node, which knows the response. */
  readonly observer: unknown;
}

/**
 * The activity of a process while a page is open: how many scopes are created and settled at each place, how long they
 * live, and the requests. Subscribes to the diagnostics channels from `start()` to `stop()`. Refers to scopes by their
 * ids and keeps no node; for a running request it keeps the observer.
 */
export class Activity {
  readonly requests: Requests = new Requests();
  readonly #isBelow: (node: ScopeNode) => boolean;
  readonly #followed = new Map<number, FollowedScope>();
  readonly #histories = new Map<string, PlaceHistory>();
  #others = otherPlaces();
  /**
   * The histories by kind and name, for scopes without a call site. Avoids computing the key of the place for each
   * task.
   */
  readonly #byName = new Map<string, Map<string, PlaceHistory>>();
  readonly #sampler = new Sampler(MAX_FOLLOWED_PER_SECOND);
  readonly #requestSampler = new Sampler(MAX_FOLLOWED_REQUESTS_PER_SECOND);
  #isStarted = false;

  /** @param isBelow - Whether a node belongs to the shown tree. */
  constructor(isBelow: (node: ScopeNode) => boolean) {
    this.#isBelow = isBelow;
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    for (const [name, listener] of this.#listeners) subscribe(name, listener);
  }

  /** Stops, and removes all data. */
  stop(): void {
    if (!this.#isStarted) return;
    this.#isStarted = false;
    for (const [name, listener] of this.#listeners) unsubscribe(name, listener);
    this.#followed.clear();
    this.#histories.clear();
    this.#byName.clear();
    this.#others = otherPlaces();
    this.requests.clear();
  }

  histories(): readonly PlaceHistory[] {
    return [...this.#histories.values(), this.#others];
  }

  /** One in this many requests is followed. */
  get requestStride(): number {
    return this.#requestSampler.stride;
  }

  history(key: string): PlaceHistory | undefined {
    return this.#histories.get(key);
  }

  readonly #listeners: readonly (readonly [name: string, listener: (message: unknown) => void])[] = [
    ["bough:task:start", (message) => this.#begin((message as TaskStartMessage).scope, false)],
    ["bough:task:settle", (message) => this.#settle((message as TaskSettleMessage).scope)],
    [
      "bough:scope:open",
      (message) => {
        const { scope, kind } = message as ScopeOpenMessage;
        this.#begin(scope, kind === "request");
      },
    ],
    ["bough:scope:close", (message) => this.#settle((message as ScopeCloseMessage).scope)],
  ];

  #begin(scope: Scope, isRequest: boolean): void {
    // The ids of another copy of the package would collide.
    if (!(scope instanceof ScopeNode)) return;
    const { id, startedAt, parent } = scope;
    const above =
      this.requests.open === 0 || parent === undefined ? undefined : this.#followed.get(parent.id);
    const weight = (isRequest ? this.#requestSampler : this.#sampler).take(id, startedAt);
    if (weight === 0 && above?.trace === undefined) return;
    if (!this.#isBelow(scope)) return;
    const begun = realNow();
    // The route of a request may be unknown until its end.
    const history =
      isRequest || weight === 0 ? undefined : this.#historyOf(scope.name, kindOf(scope), scope.extras?.site);
    history?.create(begun, weight);
    if (isRequest && weight > 0) {
      const request = { trace: this.requests.begin(id, begun), observer: scope.observer };
      return void this.#followed.set(id, { begun, weight, history, bar: undefined, ...request });
    }
    const trace = above?.trace;
    this.#followed.set(id, {
      begun,
      weight,
      history,
      trace,
      bar: trace?.begin(scope.name, begun, above?.bar),
      observer: undefined,
    });
  }

  #settle(scope: Scope): void {
    if (!(scope instanceof ScopeNode)) return;
    const life = this.#followed.get(scope.id);
    if (life === undefined) return;
    this.#followed.delete(scope.id);
    const now = realNow();
    const { begun, weight, history, trace, bar, observer } = life;
    history?.settle(now, now - begun, weight);
    if (bar !== undefined) trace?.end(bar, now, statusOf(scope));
    if (observer !== undefined) this.#endRequest(scope, life, now);
  }

  #endRequest(scope: ScopeNode, { begun, weight, trace, observer }: FollowedScope, now: number): void {
    const { method, route, status } = requestOf(scope, observer) ?? {};
    const name = method === undefined ? withoutQuery(scope.name) : `${method} ${route}`;
    if (trace !== undefined)
      this.requests.end(trace, now, {
        name,
        outcome: outcomeOf(scope),
        ...(status === undefined ? {} : { status }),
      });
    const history = this.#historyOf(name, "request", scope.extras?.site);
    history.create(begun, weight);
    history.settle(now, now - begun, weight);
  }

  #historyOf(name: string, kind: string, site: string | undefined): PlaceHistory {
    if (site !== undefined) return this.#historyAt(name, kind, shortSite(site));
    let byName = this.#byName.get(kind);
    if (byName === undefined) this.#byName.set(kind, (byName = new Map<string, PlaceHistory>()));
    let history = byName.get(name);
    if (history === undefined) {
      history = this.#historyAt(name, kind, "");
      if (byName.size >= MAX_NAMES) byName.clear();
      byName.set(name, history);
    }
    return history;
  }

  #historyAt(name: string, kind: string, site: string): PlaceHistory {
    const pattern = patternOfName(withoutQuery(name));
    const key = placeKey(pattern, kind, site);
    const known = this.#histories.get(key);
    if (known !== undefined) return known;
    if (this.#histories.size >= MAX_PLACES) return this.#others;
    const made = new PlaceHistory(key, pattern, kind, site);
    this.#histories.set(key, made);
    return made;
  }
}

/** The status of a request; if it was cancelled, the kind of the cancellation. */
function outcomeOf(node: ScopeNode): string {
  const status = statusOf(node);
  return status === "cancelled" ? (node.reason?.kind ?? status) : status;
}

const otherPlaces = (): PlaceHistory => new PlaceHistory("", "(other places)", "", "");

function kindOf(node: ScopeNode): string {
  if (isTask(node)) return isDaemon(node) ? "daemon" : "task";
  return hasHandle(node) ? "handle" : "scope";
}
