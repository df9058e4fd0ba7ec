import { readFileSync } from "node:fs";

/**
 * The expression that an agent is bundled into; its value is the agent.
 *
 * @param file - `agent.js`, of `inspect/agent.ts`, or `recorder-agent.js`, of `recorder/agent.ts`.
 */
export function agentExpression(file: "agent.js" | "recorder-agent.js"): string {
  const bundle = readFileSync(new URL(`./${file}`, import.meta.url), "utf8");
  return `(() => { ${bundle}\nreturn boughAgent.agent; })()`;
}
