import { checkType } from "../errors/validate.js";
import type { CancelledOutcome } from "./outcome.js";
import type { AnyRequest, AnyResponse } from "./messages.js";

/** What an application wants of requests that were cancelled. `Request` and `Response` are the framework's. */
export interface OutcomeHooks<Request, Response> {
  /**
   * Called once for each request that ends with 499, 503 or 504, before the answer: to log or count it. `outcome.error`
   * says why; its `scope` is the path of what was cancelled. A request whose handler answers by itself is not among them.
   */
  readonly onCancelled?:
    ((outcome: CancelledOutcome, request: Request, response: Response) => void) | undefined;
  /**
   * Answers 503 and 504 in the application's own form. Called once, when nothing has been sent. If it has not answered
   * when it returns, or when its promise settles (a second later at most), the answer is bough's own. (In Fastify it is given
   * when the hooks of the reply that it has sent are through.)
   */
  readonly respond?:
    ((outcome: CancelledOutcome, request: Request, response: Response) => unknown) | undefined;
}

/** @throws {TypeError} If a hook is not a function. */
export function checkHooks(operation: string, hooks: OutcomeHooks<never, never>): void {
  for (const name of ["onCancelled", "respond"] as const) {
    checkType(operation, name, "function", hooks[name]);
  }
}

/** An answer in the form of a framework's own. */
export interface Form {
  readonly type: string;
  readonly body: string;
}

/** What an integration does for one request in place of its handler. */
export interface Responder {
  /** What the framework calls the route: method and pattern. */
  readonly name?: string | undefined;
  /**
   * The request ends with this. Called once.
   *
   * @param isStuck - The report of a shutdown names it as well.
   */
  cancelled(outcome: CancelledOutcome, isStuck: boolean): void;
  /** The application's own answer; `undefined` if it gives none. The response has not begun. */
  readonly respond?: ((outcome: CancelledOutcome) => Promise<void>) | undefined;
  /** Somebody has taken the response from the framework, to upgrade its connection, say. */
  readonly isHijacked?: boolean;
  /** The framework answers as soon as the handler returns: one that has not been answered is still at work. */
  readonly seesHandler?: boolean;
  /** Takes the response away from the framework, and says how the answer looks there. */
  takeOver(status: number, text: string): Form;
  /** The scope has been cancelled, and the handler is going to fail because of it. */
  beforeFailure?(): void;
  /** An answer has been given in the handler's place. */
  answered?(): void;
}

/** The form of an answer where there is no framework, or one without a form of its own. */
export const plainForm = (text: string): Form => ({ type: "text/plain", body: `${text}\n` });

/** For requests of servers and frameworks that give hooks, and no more. */
export class HooksResponder implements Responder {
  readonly #hooks: OutcomeHooks<never, never>;
  readonly #request: AnyRequest;
  readonly #response: AnyResponse;

  constructor(hooks: OutcomeHooks<never, never>, request: AnyRequest, response: AnyResponse) {
    this.#hooks = hooks;
    this.#request = request;
    this.#response = response;
  }

  cancelled(outcome: CancelledOutcome): void {
    void callHook(this.#hooks.onCancelled, outcome, this.#request, this.#response);
  }

  get respond(): ((outcome: CancelledOutcome) => Promise<void>) | undefined {
    const { respond } = this.#hooks;
    if (respond === undefined) return undefined;
    return (outcome) => callHook(respond, outcome, this.#request, this.#response);
  }

  takeOver(_: number, text: string): Form {
    return plainForm(text);
  }
}

type Hook = (outcome: CancelledOutcome, request: never, response: never) => unknown;

/** Calls a hook of the application's. One that fails is reported, and the request goes its way. */
export async function callHook(
  hook: Hook | undefined,
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

export function printHookFailure(error: unknown): void {
  // oxlint-disable-next-line no-console -- where servers and frameworks print what nobody handles
  console.error("A hook or a logger has failed that was told of a cancelled request", error);
}
