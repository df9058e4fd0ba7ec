import type { Plugin } from "esbuild";

export declare const inlineState: Plugin;

/** An arrow function whose body is an expression. */
interface InlineFunction {
  readonly parameters: readonly string[];
  /** Whether the body is an assignment. */
  readonly isTransition: boolean;
  readonly body: string;
}

export declare function readFunctions(file: string): Map<string, InlineFunction>;
export declare function inlineCalls(
  path: string,
  text: string,
  functions: ReadonlyMap<string, InlineFunction>,
): string;
