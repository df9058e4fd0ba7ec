import { workKind } from "../errors/scope-errors.js";
import { checkType } from "../errors/validate.js";
import type { CancelledOutcome } from "./outcome.js";

// The interface between a request and a framework. This file depends on no framework and no objects of Node.
// `NodeResponder` implements `Responder` for the responses of `node:http` and `node:http2`; integrations on top of
// these extend it. `Exchange`, in web/, implements it for handlers that return a `Response`: it answers by resolving
// the promise that the host awaits.

/** The application's hooks for cancelled requests. `Request` and `Response` are those of the framework. */
export interface OutcomeHooks<Request, Response> {
  /**
   * Called once for each request that ends with 499, 503 or 504, before the answer: to log or count it. `outcome.error`
   * says why; its `scope` is the path of the scope that was cancelled. It is not called for a request whose handler
   * answers by itself. Default: none.
   */
  readonly onCancelled?:
    ((outcome: CancelledOutcome, request: Request, response: Response) => void) | undefined;
  /**
   * Answers 503 and 504 in the application's own form. Called once, when nothing has been sent. If it has not answered
   * when it returns, or when its promise settles (a second later at most), bough answers. A framework may wait for
   * its own hooks as well. Default: bough answers, in the framework's form.
   */
  readonly respond?:
    ((outcome: CancelledOutcome, request: Request, response: Response) => unknown) | undefined;
}

/** @throws {TypeError} If a hook is not a function. */
export function checkHooks(
  operation: string,
  hooks: { readonly [Name in keyof OutcomeHooks<never, never>]: unknown },
): void {
  for (const name of ["onCancelled", "respond"] as const) {
    checkType(operation, name, "function", hooks[name]);
  }
}

/** The status of an answer by bough. 500: the handler did not answer after a task of its request had failed. */
export type AnswerStatus = 500 | 503 | 504;

/** The text of an answer by bough. */
export const answerTexts: Readonly<Record<AnswerStatus, string>> = {
  500: "Internal Server Error",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** The part of a response that a record reads without a responder. Most requests need no responder. */
export interface Endable {
  readonly writableEnded: boolean;
}

/** The state of one request's answer, and how to answer if the handler does not. */
export interface Responder {
  /** Method and pattern of the route. Default: the scope is named by method and path. */
  readonly name?: string | undefined;

  /** Whether an answer can be given: nothing has been sent, and the client is connected. */
  readonly isAnswerable: boolean;
  /** Whether the status of the answer has been sent. */
  readonly hasBegun: boolean;
  /** Whether the answer has been ended; parts of it may still have to be sent. */
  readonly hasEnded: boolean;
  /** Whether the client has disconnected before the answer was complete. */
  readonly isDisconnected: boolean;
  /** The current status of the answer. 499 is set for loggers. */
  statusCode: number;
  /** Whether the request ends with an answer. An upgraded request does not. */
  readonly expectsAnswer: boolean;
  /**
   * Whether code has taken the response over from the framework, for example to upgrade its connection. Default: false.
   */
  readonly isHijacked?: boolean;
  /** Whether the handler is known to be running. Default: false. */
  readonly isHandlerRunning?: boolean;
  /** Whether a part of the answer was written since the last call, or waits to be sent. */
  isSending(): boolean;

  /** Answers with `status` in the framework's format. Called if {@link isAnswerable}. */
  answer(status: AnswerStatus): void;
  /** The application's own answer. `undefined` if it gives none. */
  readonly respond?: ((outcome: CancelledOutcome) => Promise<void>) | undefined;
  /** Breaks the answer off, so that the client does not treat it as complete. Called unless {@link hasEnded}. */
  cutOff(): void;
  /** Stops the upload of a request that was answered. */
  stopUpload(): void;

  /**
   * Logs the outcome of a cancelled request, and calls the application's hook. Called once.
   *
   * @param isStuck - Whether the report of a shutdown names the request as well.
   */
  log(outcome: CancelledOutcome, isStuck: boolean): void;
  /** Sets the status 499, for loggers that read it when the response closes. Nothing is sent. */
  markDisconnected(): void;
  /**
   * From now on, calls `cutOff` if the handler begins a second answer, instead of throwing an error. Called when an
   * answer may have begun. Absent if a handler can't begin a second one.
   */
  ignoreSecondAnswer?(cutOff: () => void): void;
  /** Called when the scope is cancelled, before the handler is notified. */
  onCancelled?(): void;
  /** Called when an answer has been given in the handler's place. */
  onAnswered?(): void;
}

const logged = new WeakSet<object>();

/**
 * Records that the disconnect of a request without a scope was logged: its handler may still fail, and open the scope.
 */
export function markLogged(request: object): void {
  logged.add(request);
}

/** Whether a request was logged without a scope. */
export function wasLogged(request: object): boolean {
  return logged.has(request);
}

type OutcomeHook = (outcome: CancelledOutcome, request: never, response: never) => unknown;

/** What a scope waits for, in reports, until its request is answered. */
export function unanswered(): "response" {
  return workKind("response", "its handler has not answered");
}

/** Calls a hook of the application. A failure of the hook is reported and does not affect the request. */
export async function callHook(
  hook: OutcomeHook | undefined,
  outcome: CancelledOutcome,
  request: unknown,
  response: unknown,
  onFailure: (error: unknown) => void = printHookFailure,
): Promise<void> {
  try {
    await hook?.(outcome, request as never, response as never);
  } catch (error) {
    onFailure(error);
  }
}

/** Prints the failure of a hook where no logger is known. */
export function printHookFailure(error: unknown): void {
  // oxlint-disable-next-line no-console -- where servers and frameworks print errors that are not handled
  console.error("A hook or logger for cancelled requests has failed", error);
}
