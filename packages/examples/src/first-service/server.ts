import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { requestOutcome, requestScope } from "bough/http";
import { quotes } from "./quotes.js";

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const scope = requestScope(request, response, { timeout: 5_000 });
  try {
    const item = new URL(request.url ?? "/", "http://localhost").searchParams.get("item") ?? "lamp";
    response.end(`${(await quotes(scope, item)).join("\n")}\n`);
  } catch (error) {
    const outcome = requestOutcome(request, response, error);
    if (outcome.status === undefined) console.error(outcome.error);
    else console.log(`${scope.path}: ${outcome.status}, ${String(outcome.error)}`);
    response.writeHead(outcome.status ?? 500).end();
  }
}

export function createApp(): Server {
  return createServer((request, response) => void answer(request, response));
}
