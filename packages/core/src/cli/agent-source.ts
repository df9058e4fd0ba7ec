import { readFileSync } from "node:fs";

/**
 * Returns an expression whose value is the agent. The agent's bundle is part of the expression.
 *
 * @param file - `agent.js`, the bundle of `inspect/agent.ts`, or `recorder-agent.js`, the bundle of
 * `recorder/agent.ts`.
 */
export function agentExpression(file: "agent.js" | "recorder-agent.js"): string {
  const bundle = readFileSync(new URL(`./${file}`, import.meta.url), "utf8");
  return `(() => { ${bundle}\nreturn boughAgent.agent; })()`;
}
