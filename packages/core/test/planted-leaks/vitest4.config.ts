import { fileURLToPath } from "node:url";
import { mergeConfig } from "vitest/config";
import config from "./vitest.config.js";

// The oldest vitest that has what bough/vitest needs.
export default mergeConfig(config, {
  resolve: {
    alias: { vitest: fileURLToPath(new URL("../../node_modules/vitest4/dist/index.js", import.meta.url)) },
  },
});
