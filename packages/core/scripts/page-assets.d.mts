import type { Plugin } from "esbuild";

export declare const pageAssets: Plugin;
export declare const vitePageAssets: {
  readonly name: string;
  readonly enforce: "pre";
  readonly load: (id: string) => string | undefined;
};
