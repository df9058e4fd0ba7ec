import { test as base } from "@playwright/test";
import { createScope } from "bough";

/** Closes `scope` and waits for everything in it before the test is done. */
export const test = base.extend({
  scope: async ({}, use, { title, timeout }) => {
    const scope = createScope({ name: title, timeout });
    try {
      await use(scope);
    } finally {
      await scope.close();
    }
  },
});
