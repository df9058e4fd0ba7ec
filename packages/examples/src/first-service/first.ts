import { withScope } from "bough";
import { quotes } from "./quotes.js";

console.log(await withScope((scope) => quotes(scope, "lamp")));

await withScope({ timeout: 1_000 }, (scope) => quotes(scope, "piano")).catch((error: unknown) => {
  console.log(String(error));
});
