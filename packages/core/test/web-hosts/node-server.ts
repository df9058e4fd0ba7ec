import { serve } from "@hono/node-server";
import { makeApp, watchErrors } from "./app.js";

watchErrors();
const handle = makeApp(process.argv[2]);
serve({ fetch: handle, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log(`listening ${port}`));
