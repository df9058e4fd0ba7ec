import { readFileSync } from "node:fs";

/** The files of the page. */
export interface Assets {
  readonly html: string;
  readonly css: string;
  readonly js: string;
}

/** Reads the files of the page. The build puts their text here instead, so that a bundled program has them, too. */
export function readAssets(): Assets {
  const read = (name: string): string => readFileSync(new URL(`./page/${name}`, import.meta.url), "utf8");
  return { html: read("index.html"), css: read("page.css"), js: read("page.js") };
}
