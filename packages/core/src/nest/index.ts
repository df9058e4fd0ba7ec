export { BoughModule, type BoughModuleAsyncOptions, type BoughModuleOptions } from "./bough-module.js";
export { BoughService } from "./bough-service.js";
export { REQUEST_SCOPE, RequestScope, RequestTimeout } from "./decorators.js";
