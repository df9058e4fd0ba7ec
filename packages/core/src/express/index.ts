export { expressBough, type ExpressBoughOptions } from "./express-bough.js";
