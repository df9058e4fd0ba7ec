/** True for the same type and nothing else: `any` is not `unknown`, and a union is not one of its members. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export declare function expectType<Expected>(): <Actual>(
  value: Actual,
  ...wrong: Same<Actual, Expected> extends true ? [] : [{ expected: Expected; actual: Actual }]
) => void;
