import { createScope, type Scope } from "bough";
import { LeakError, verifyNoLeaks } from "bough/testing";

/** A test of the original, whose body runs in a scope that is still open afterwards. */
export interface LeakTest {
  readonly name: string;
  readonly body: (parent: Scope) => void | Promise<void>;
}

/** How one went. */
export interface Verdict {
  readonly name: string;
  readonly passed: boolean;
  /** The output, in the form of `go test -v`. */
  readonly lines: readonly string[];
}

/** Milliseconds that leaks get to go away, as leaktest's five seconds. */
const PATIENCE = 500;

/** Runs `body`, checks for leaks, and only then ends the parent. */
export async function runLeakTest({ name, body }: LeakTest): Promise<Verdict> {
  await using parent = createScope({ name: "parent" });
  const started = performance.now();
  let complaint: readonly string[] = [];
  try {
    await body(parent);
    await verifyNoLeaks({ scope: parent, timeout: PATIENCE });
  } catch (error) {
    if (!(error instanceof LeakError)) throw error;
    complaint = error.message.split("\n");
  }
  const passed = complaint.length === 0;
  const seconds = ((performance.now() - started) / 1_000).toFixed(2);
  return {
    name,
    passed,
    lines: [
      `=== RUN   ${name}`,
      ...complaint.map((line, index) => (index === 0 ? `    ${name}: ${line}` : `    ${line}`).trimEnd()),
      `--- ${passed ? "PASS" : "FAIL"}: ${name} (${seconds}s)`,
    ],
  };
}
