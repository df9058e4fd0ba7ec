import { serve } from "@hono/node-server";
import { honoApp, plainApp, watchErrors } from "./app.js";

watchErrors();
const handle = process.argv[2] === "plain" ? plainApp() : honoApp();
serve({ fetch: handle, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log(`listening ${port}`));
