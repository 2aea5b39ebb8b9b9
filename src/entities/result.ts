/** What a function answers that may refuse: a value, or one literal reason. Refusals are never thrown. */
export type Result<Value, Reason extends string> = { readonly ok: Value } | { readonly refused: Reason };
