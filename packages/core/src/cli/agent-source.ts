import { readFileSync } from "node:fs";

/** The expression that `inspect/agent.ts` is bundled into; its value is an `Agent`. */
export function agentExpression(): string {
  const bundle = readFileSync(new URL("./agent.js", import.meta.url), "utf8");
  return `(() => { ${bundle}\nreturn boughAgent.agent; })()`;
}
