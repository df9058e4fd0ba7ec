import { serve } from "srvx";
import { makeApp, watchErrors } from "./app.js";

watchErrors();
const handle = makeApp(process.argv[2]);
const server = serve({
  port: 0,
  hostname: "127.0.0.1",
  silent: true,
  gracefulShutdown: false,
  fetch: handle,
});
await server.ready();
console.log(`listening ${new URL(server.url ?? "").port}`);
