/** An alias of `express@4`, which behaves differently and is used alike. */
declare module "express4" {
  export { default } from "express";
}
