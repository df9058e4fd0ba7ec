import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { sleep, spawn, type Scope } from "bough";
import { requestScope, serverScope } from "bough/http";

const FILES = 12;
const CHUNK = Buffer.alloc(32_768, "bough\n");
/** Between two chunks. */
const PAUSE = 40;

/** Calls `use` with the URLs that a slow server on loopback serves, for as long as that takes. */
export async function withDemoServer<T>(scope: Scope, use: (urls: string[]) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    const chunks = chunksOf(request.url ?? "");
    spawn(requestScope(request, response), (task) => drip(task, response, chunks));
  });
  const owner = serverScope(server, { parent: scope, name: "demo server" });
  try {
    await once(server.listen(0, "127.0.0.1"), "listening", { signal: scope.signal });
    const { port } = server.address() as AddressInfo;
    return await use(
      Array.from({ length: FILES }, (_, index) => `http://127.0.0.1:${port}/file-${index + 1}.txt`),
    );
  } finally {
    await owner.close();
  }
}

/** `/file-3.txt` is larger than `/file-1.txt`, and smaller than `/file-2.txt`. */
function chunksOf(path: string): number {
  const number = Number(/\d+/.exec(path)?.[0] ?? 1);
  return 10 + ((number * 7) % 13) * 4;
}

async function drip(task: Scope, response: ServerResponse, chunks: number): Promise<void> {
  response.writeHead(200, { "content-type": "text/plain", "content-length": chunks * CHUNK.length });
  for (let chunk = 0; chunk < chunks; chunk++) {
    response.write(CHUNK);
    await sleep(task, PAUSE);
  }
  response.end();
}
