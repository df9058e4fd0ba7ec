import type { CancelledError } from "../errors/cancelled.js";
import { setDeadline } from "../kernel/deadline.js";
import { CLOSED_BY_OWNER, CUT, DELIVERED, TASK, TIMED_OUT } from "../kernel/flags.js";
import type { Hook } from "../kernel/hook.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Observer } from "../kernel/observer.js";
import { afterMicrotasks, onTurn } from "../kernel/platform.js";
import { report } from "../kernel/report.js";
import { bodyReturned, cancel } from "../kernel/settle.js";
import { answer, statusOf, type CancelStatus } from "./answer.js";
import { quieten, type FastifyLike } from "./quiet-reply.js";
import type { ServerState } from "./server-state.js";
import type { AnyRequest, AnyResponse } from "./types.js";

/**
 * One request that has a scope, in one object: the hook that its cancellation runs, and the observer that gets its
 * outcome. To its scope, the time until the response is done is the body.
 *
 * No subclass: V8 does not compile the making of one into its caller, and every request makes one.
 */
export class RequestRecord implements Hook, Observer {
  next: Hook | undefined = undefined;
  previous: Hook | undefined = this;
  readonly node: ScopeNode;
  readonly request: AnyRequest;
  readonly response: AnyResponse;
  /** Fastify's, if it is Fastify's request. */
  reply: FastifyLike | undefined = undefined;
  /** The deadline came with the request, from another server. */
  travelled = false;
  /** Answered in the handler's place. */
  answered = false;
  readonly #server: ServerState | undefined;
  #done = false;
  #received: unknown = nothing;

  constructor(node: ScopeNode, request: AnyRequest, response: AnyResponse, server: ServerState | undefined) {
    this.node = node;
    this.request = request;
    this.response = response;
    this.#server = server;
  }

  get isDone(): boolean {
    return this.#done;
  }

  /** The response is done, or never will be. */
  done(): void {
    if (this.#done) return;
    this.#done = true;
    const { node, response } = this;
    if (!response.writableEnded) {
      // For whoever logs when a response closes: the status by which nginx calls this.
      if ("headersSent" in response && !response.headersSent) response.statusCode = 499;
      cancel(node, "disconnected", undefined);
      node.flags |= CUT;
    } else if (node.first !== undefined && !node.cancelled) {
      node.flags |= CLOSED_BY_OWNER;
      cancel(node, "closed", undefined);
    }
    this.#server?.closed(this);
    bodyReturned(node, undefined);
  }

  /** Bounds the request further, to `timeout` ms from now. More than it has left changes nothing. */
  bound(timeout: number): boolean {
    const { node } = this;
    const own = node.rarely?.settings;
    if (node.cancelled || this.#done || (own?.deadline !== undefined && own.deadline.left <= timeout))
      return false;
    own?.deadlineTimer?.clear();
    setDeadline(node, timeout);
    return true;
  }

  statusOfDeadline(): 503 | 504 {
    return this.travelled && (this.node.flags & TIMED_OUT) !== 0 ? 504 : 503;
  }

  /** Runs when the scope is cancelled. The handler goes first: it may have a better answer. */
  run(reason: CancelledError): void {
    if (reason.kind !== "deadline" || this.#done) return;
    onTurn(() => this.answer(this.statusOfDeadline()));
  }

  /** Answers in the handler's place, if that has not begun to. */
  answer(status: CancelStatus): boolean {
    const { request, response, reply } = this;
    if (!answer(request, response, status, reply)) return false;
    this.answered = true;
    if (reply !== undefined)
      quieten(reply, (error) => statusOf(request, response, this, error) !== undefined);
    return true;
  }

  /** The framework has got `error` from the handler: that failure has a receiver. */
  receive(error: unknown): void {
    const { reason } = this.node;
    this.#received = error === reason && reason?.kind === "failure" ? reason.cause : error;
  }

  ended(): void {}

  resolve(): void {}

  /** The scope has settled, and has failures or was cut short. */
  reject(): void {
    const { node } = this;
    const errors = node.rarely?.errors;
    if (errors === undefined) return;
    afterMicrotasks(() => {
      for (const [error, origin] of errors) {
        if (error !== this.#received && !wasAwaited(node, origin)) report(node.parent ?? node, error, origin);
      }
    });
  }
}

const nothing: unknown = Symbol("nothing");

/** Whether the handler awaited the task of its own in which a failure happened: then the failure is the handler's. */
function wasAwaited(request: ScopeNode, origin: ScopeNode): boolean {
  let at = origin;
  while (at !== request && at.parent !== request && at.parent !== undefined) at = at.parent;
  return at !== request && (at.flags & TASK) !== 0 && (at.flags & DELIVERED) !== 0;
}
