// The API process: for every request it has the tiles of a picture rendered by the workers. Argument: the database.

import { map } from "bough";
import { fastifyBough } from "bough/fastify";
import { main } from "bough/process";
import { connectRemote } from "bough/remote";
import Fastify from "fastify";
import { openEngine } from "./engine.js";
import { LEASE, renderTile, report } from "./tile.js";

const [database = ""] = process.argv.slice(2);

await main(async function api(scope) {
  const app = Fastify();
  await app.register(fastifyBough, { grace: 500 });
  // The server's scope: it ends when its requests have.
  const remote = await connectRemote(app.scope, openEngine(database), { lease: LEASE });
  app.get<{ Params: { picture: string }; Querystring: { tiles: string; ms: string } }>(
    "/pictures/:picture",
    ({ params: { picture }, query: { tiles, ms }, scope: request }) => {
      const numbers = Array.from({ length: Number(tiles) }, (_, number) => number);
      // When the client hangs up, the request's scope is cancelled, and with it every tile, on whatever worker it is.
      return map(request, numbers, (number, own) =>
        remote.spawn(own, renderTile, { picture, number, ms: Number(ms) }),
      );
    },
  );
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  scope.defer(() => app.close());
  report("ready", { url });
  await new Promise((resolve) => void scope.onCancel(resolve));
});
