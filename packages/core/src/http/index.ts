export { outgoingHeaders } from "./deadline-header.js";
export { requestScope, type RequestScopeOptions } from "./request-scope.js";
export { serverScope, type ServerScope, type ServerScopeOptions } from "./server-scope.js";
export type { ShutdownReport } from "./shutdown.js";
