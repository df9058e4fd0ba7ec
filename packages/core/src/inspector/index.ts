/**
 * A live page that shows the tree of scopes of a process. Node only. The guide is `docs/guide/observing.md`.
 *
 * @module
 */
export type { ListenOptions } from "./listen.js";
export { inspector } from "./inspector.js";
export type { InspectorOptions, PageOptions } from "./options.js";
export { servePage, type Inspector } from "./serve.js";
