import { all } from "bough";
import { expressBough } from "bough/express";
import express, { type Express } from "express";

export function dashboardApp(upstream: string): Express {
  const app = express();
  app.use(expressBough({ timeout: 10_000 })); // first

  app.get("/dashboard", async (req, res) => {
    const [user, orders] = await all(req.scope, [
      async ({ signal }) => (await fetch(`${upstream}/user`, { signal })).json(),
      async ({ signal }) => (await fetch(`${upstream}/orders`, { signal })).json(),
    ]);
    res.json({ user, orders });
  });
  return app;
}
