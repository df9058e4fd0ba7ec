import { makeApp, setUpgrade, watchErrors } from "./app.js";

declare const Deno: {
  readonly args: readonly string[];
  serve(options: object, handler: unknown): unknown;
  upgradeWebSocket(request: Request): { readonly response: Response };
};

watchErrors();
setUpgrade((request) => Deno.upgradeWebSocket(request).response);
const handle = makeApp(Deno.args[0]);
Deno.serve(
  {
    port: 0,
    hostname: "127.0.0.1",
    onListen: ({ port }: { port: number }) => console.log(`listening ${port}`),
  },
  handle,
);
