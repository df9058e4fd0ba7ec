export { expressBough } from "./express-bough.js";
