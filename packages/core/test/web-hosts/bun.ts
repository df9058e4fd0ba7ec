import { makeApp, setUpgrade, watchErrors } from "./app.js";

declare const Bun: {
  serve(options: object): { readonly port: number; upgrade(request: Request): boolean };
};

watchErrors();
const handle = makeApp(process.argv[2]);
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  idleTimeout: 0,
  fetch: handle,
  websocket: { message: () => undefined },
});
setUpgrade((request) => {
  server.upgrade(request);
  return undefined as never;
});
console.log(`listening ${server.port}`);
