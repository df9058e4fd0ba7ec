import { sleep } from "bough";
import { serverScope } from "bough/http";
import { main } from "bough/process";
import { createApp } from "./server.js";

await main(async function prices(scope) {
  const server = createApp();
  const requests = serverScope(server, { grace: 10_000 });
  scope.defer(async () => {
    const report = await requests.shutdown();
    console.log(`shut down: ${report.running} running, ${report.cancelled} cancelled`);
  });
  server.listen(3000, () => console.log("listening on http://localhost:3000"));
  await sleep(scope, Infinity); // until Ctrl-C or SIGTERM
});
