import { NodeResponder, type AnswerContent } from "../http/node-responder.js";
import type { AnswerStatus } from "../http/responder.js";

/** Answers in the form of Nest's exceptions when the adapter has no responder for the request. */
export class NestResponder extends NodeResponder {
  protected override takeOver(statusCode: AnswerStatus, message: string): AnswerContent {
    return { type: "application/json", body: JSON.stringify({ statusCode, message }) };
  }
}
