/**
 * Lint rules, and settings for `typescript-eslint`. The recipe is in `docs/cookbook/tools.md`.
 *
 * @module
 */
import { noOwnerInWorker, type Rule } from "./no-owner-in-worker.js";

export type { Rule } from "./no-owner-in-worker.js";

/** The exports of `bough/eslint`: an ESLint plugin, which oxlint loads as a JS plugin, too. */
export interface Plugin {
  /** The name under which the plugin is registered: `bough`. */
  readonly meta: { readonly name: string };
  /** The rules, by their names. */
  readonly rules: Readonly<Record<"no-owner-in-worker", Rule>>;
  /** Parts of a flat configuration. */
  readonly configs: {
    /** The rules of bough. They read the syntax only, and need no type information. */
    recommended: object;
    /**
     * Settings for rules of `typescript-eslint`, which must be configured before: `no-floating-promises` accepts a
     * `Task` that is not awaited, since its scope waits for it and receives its failure. Other promises of bough stay
     * errors.
     */
    typeChecked: object;
  };
}

/**
 * The lint rules of bough, for ESLint's flat configuration and for oxlint's `jsPlugins`.
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
  configs: { recommended: {}, typeChecked: {} },
};
plugin.configs.recommended = { plugins: { bough: plugin }, rules: { "bough/no-owner-in-worker": "error" } };
plugin.configs.typeChecked = {
  name: "bough/type-checked",
  files: ["**/*.ts", "**/*.mts", "**/*.cts", "**/*.tsx"],
  rules: {
    "@typescript-eslint/no-floating-promises": [
      "error",
      { allowForKnownSafePromises: [{ from: "package", package: "bough", name: "Task" }] },
    ],
  },
};

// oxlint-disable-next-line import/no-default-export -- what ESLint and oxlint load
export default plugin;
