// Bundles the page of the inspector: one text each for the document, the style and the script, with the libraries in them.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const folder = new URL("../src/inspector/page/", import.meta.url);
const modules = new URL("../node_modules/", import.meta.url);
const text = (url) => readFileSync(url, "utf8");

/** Their licences ask for their text in every copy. */
const licences = ["@tanstack/virtual-core", "uplot"]
  .map((name) => `/*! ${name}\n\n${text(new URL(`${name}/LICENSE`, modules)).trim()}\n*/\n`)
  .join("");

/** The module `src/inspector/assets.ts` with the text in it: a bundled program has no files beside it. */
function assetsModule() {
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL("main.js", folder))],
    bundle: true,
    format: "esm",
    minify: true,
    legalComments: "none",
    target: "es2022",
    write: false,
  });
  const assets = {
    html: text(new URL("index.html", folder)),
    css: text(new URL("uplot/dist/uPlot.min.css", modules)) + text(new URL("page.css", folder)),
    js: licences + outputFiles[0].text,
  };
  return `export const readAssets = () => (${JSON.stringify(assets)});`;
}

const isAssets = /inspector[\\/]assets\.ts$/;

/** For esbuild, and for tsup. */
export const pageAssets = {
  name: "page-assets",
  setup(build) {
    build.onLoad({ filter: isAssets }, () => ({ contents: assetsModule(), loader: "js" }));
  },
};

/** For vite, and for vitest. */
export const vitePageAssets = {
  name: "page-assets",
  enforce: "pre",
  load: (id) => (isAssets.test(id) ? assetsModule() : undefined),
};
