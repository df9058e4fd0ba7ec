import { noOwnerInWorker, type Rule } from "./no-owner-in-worker.js";

export type { Rule } from "./no-owner-in-worker.js";

/** An ESLint plugin; oxlint loads it as a JS plugin, too. */
export interface Plugin {
  readonly meta: { readonly name: string };
  readonly rules: Readonly<Record<"no-owner-in-worker", Rule>>;
  readonly configs: { recommended: object };
}

/**
 * The lint rules of bough, for ESLint's flat configuration and for oxlint's `jsPlugins`. They read the syntax only,
 * and need neither type information nor a framework.
 *
 * @example `eslint.config.js`
 * ```ts
 * import bough from "bough/eslint";
 *
 * export default [bough.configs.recommended];
 * ```
 */
const plugin: Plugin = {
  meta: { name: "bough" },
  rules: { "no-owner-in-worker": noOwnerInWorker },
  configs: { recommended: {} },
};
plugin.configs.recommended = { plugins: { bough: plugin }, rules: { "bough/no-owner-in-worker": "error" } };

// oxlint-disable-next-line import/no-default-export -- what ESLint and oxlint load
export default plugin;
