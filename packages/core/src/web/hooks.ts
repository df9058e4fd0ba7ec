import { wrongType } from "../errors/validate.js";
import type { CancelledOutcome } from "../http/outcome.js";
import { printHookFailure } from "../http/responder.js";
import { isResponse } from "./responses.js";

/** The application's hooks for cancelled requests, as in `bough/http`. */
export interface WebHooks<Input = never> {
  /**
   * Called once for each request that ends with 499, 503 or 504, before the answer: to log or count it. `outcome.error`
   * says why; its `scope` is the path of the scope that was cancelled. It is not called for a request whose handler
   * answers by itself. Default: none.
   */
  readonly onCancelled?: ((outcome: CancelledOutcome, request: Input) => void) | undefined;
  /**
   * Answers 503 and 504 in the application's own form. Called once, when nothing has been sent. If it returns no response,
   * or none within a second, bough answers. Default: bough answers, with a line of text.
   */
  readonly respond?:
    | ((
        outcome: CancelledOutcome & { readonly status: 503 | 504 },
        request: Input,
      ) => Response | undefined | Promise<Response | undefined>)
    | undefined;
}

/** Has the application make the answer of a request; `undefined` if it has no hook for that. */
export function answerMaker(
  hooks: WebHooks | undefined,
  request: Request,
  answerBy: (response: unknown) => void,
): ((outcome: CancelledOutcome) => Promise<void>) | undefined {
  const respond = hooks?.respond;
  return respond === undefined ? undefined : (outcome) => makeAnswer(respond, outcome, request, answerBy);
}

/** Without an answer of the application, bough answers. */
async function makeAnswer(
  respond: NonNullable<WebHooks["respond"]>,
  outcome: CancelledOutcome,
  request: Request,
  answerBy: (response: unknown) => void,
): Promise<void> {
  try {
    const response: unknown = await respond(outcome as never, request as never);
    if (response === undefined) return;
    if (!isResponse(response)) throw wrongType("fetchBough", "respond must return a Response", response);
    answerBy(response);
  } catch (error) {
    printHookFailure(error);
  }
}
