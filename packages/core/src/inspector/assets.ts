/** The files of the page. */
export interface Assets {
  readonly html: string;
  readonly css: string;
  readonly js: string;
}

/** The build and the tests replace this module by one that contains the bundled page: see `scripts/page-assets.mjs`. */
export function readAssets(): Assets {
  throw new Error("The files of the page are missing: this module was neither built nor loaded by a test.");
}
