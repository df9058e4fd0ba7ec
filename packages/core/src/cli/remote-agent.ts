import type { DebuggingSession } from "./debugging-session.js";
import { CannotInspect } from "./processes.js";

interface Evaluation {
  readonly result: { readonly objectId?: string; readonly value?: unknown };
  readonly exceptionDetails?: {
    readonly text: string;
    readonly exception?: { readonly description?: string };
  };
}

/** What an agent says when it begins. */
export interface Copies {
  /** How many copies of the package the process has loaded. */
  readonly copies: number;
  /** Of how many of them the command does not know the format. */
  readonly unreadable: number;
}

/** @throws {CannotInspect} If the process has no copy of the package that this command knows. */
export function checkCopies(pid: number, { copies, unreadable }: Copies): void {
  if (copies === 0)
    throw new CannotInspect(
      `Process ${pid} has not loaded bough, or one that is too old to be found. Its main thread only is looked at.`,
    );
  if (copies === unreadable)
    throw new CannotInspect(
      `Process ${pid} has a bough of another version, whose tree this command can't read. Run the command of that version.`,
    );
}

/** An object in the inspected process: code that comes with this command, evaluated there when it is first called. */
export class RemoteAgent {
  readonly #session: DebuggingSession;
  readonly #expression: () => string;
  #objectId: string | undefined;

  /** @param expression - Makes the expression whose value is the agent. */
  constructor(session: DebuggingSession, expression: () => string) {
    this.#session = session;
    this.#expression = expression;
  }

  /** Calls a method of the agent, which returns a string. */
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
