import type { DebuggingSession } from "./debugging-session.js";
import { CannotInspect } from "./processes.js";

interface Evaluation {
  readonly result: { readonly objectId?: string; readonly value?: unknown };
  readonly exceptionDetails?: {
    readonly text: string;
    readonly exception?: { readonly description?: string };
  };
}

/** The first answer of an agent. */
export interface CopyCounts {
  /** The number of copies of the package that the process has loaded. */
  readonly copies: number;
  /** How many of them have a format that this command can't read. */
  readonly unreadable: number;
}

/** @throws {CannotInspect} If the process has no copy of the package that this command can read. */
export function checkCopies(pid: number, { copies, unreadable }: CopyCounts): void {
  if (copies === 0)
    throw new CannotInspect(
      `Process ${pid} has not loaded bough, or has loaded a version that is too old to be found. Only its main thread is inspected.`,
    );
  if (copies === unreadable)
    throw new CannotInspect(
      `Process ${pid} has loaded another version of bough, whose tree this command can't read. Run the command of that version.`,
    );
}

/**
 * A proxy of an object in the inspected process. Its code comes with this command, and is evaluated there at the first
 * call.
 */
export class RemoteAgent {
  readonly #session: DebuggingSession;
  readonly #expression: () => string;
  #objectId: string | undefined;

  /** @param expression - Returns the expression whose value is the agent. */
  constructor(session: DebuggingSession, expression: () => string) {
    this.#session = session;
    this.#expression = expression;
  }

  /** Calls a method of the agent. Each of them returns a string. */
  async call(method: string, ...parameters: readonly (number | string)[]): Promise<string> {
    this.#objectId ??= await this.#install();
    const evaluated = await this.#session.call<Evaluation>("Runtime.callFunctionOn", {
      objectId: this.#objectId,
      functionDeclaration: `function (...parameters) { return this.${method}(...parameters); }`,
      arguments: parameters.map((value) => ({ value })),
      returnByValue: true,
    });
    return resultOf(evaluated).value as string;
  }

  async #install(): Promise<string> {
    const expression = this.#expression();
    const evaluated = await this.#session.call<Evaluation>("Runtime.evaluate", { expression });
    return resultOf(evaluated).objectId as string;
  }
}

function resultOf({ result, exceptionDetails }: Evaluation): Evaluation["result"] {
  if (exceptionDetails === undefined) return result;
  const { text, exception } = exceptionDetails;
  throw new Error(`the code of this command failed in the process: ${exception?.description ?? text}`);
}
