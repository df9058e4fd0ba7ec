/**
 * For authors of integrations: cancelling with a kind, expiring a deadline, annotating a scope.
 *
 * @module
 */
export { annotate } from "./annotate.js";
export { cancelAs, type CancelAsOptions } from "./cancel-as.js";
export { expire } from "./expire.js";
export { onCheck } from "./on-check.js";
export type { Annotation, Annotator } from "../kernel/annotations.js";
