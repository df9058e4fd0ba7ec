import { makeApp, setUpgrade, watchErrors } from "./app.js";

declare const WebSocketPair: new () => { readonly 0: WebSocket; readonly 1: WebSocket & { accept(): void } };

watchErrors();
setUpgrade(() => {
  const pair = new WebSocketPair();
  pair[1].accept();
  return new Response(null, { status: 101, webSocket: pair[0] } as ResponseInit);
});

const apps = {
  plain: makeApp("plain"),
  hono: makeApp("hono"),
  given: makeApp("given"),
  middleware: makeApp("middleware"),
};

// oxlint-disable-next-line import/no-default-export -- what workerd loads
export default {
  fetch: (request: Request, env: { readonly FORM: keyof typeof apps }, ctx: unknown): unknown =>
    apps[env.FORM](request, env, ctx),
};
