import { test as base } from "@playwright/test";
import { createScope } from "bough";

/** `scope` is closed, and all that the test has started in it is awaited, before the test counts as done. */
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
