/** The files of the page. */
export interface Assets {
  readonly html: string;
  readonly css: string;
  readonly js: string;
}

/** The build and the tests put another module here, which has the bundled page: see `scripts/page-assets.mjs`. */
export function readAssets(): Assets {
  throw new Error("The page is not there: this module was neither built nor loaded by a test.");
}
