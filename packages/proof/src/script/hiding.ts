/**
 * Why a scalar may be sent in the clear. Whatever a script sends has pads or one of these reasons: anything else does not
 * compile.
 */
export const CLEAR = {
  "public table": "a value of a table that the key names, at a point that everybody knows",
  "spare pair": "a sum of pads in which the spare pair, which nothing else uses, has a weight: uniform",
  mask: "uniform and independent together: the sparse mask and the spare pad have as many cells as these words",
  blind: "a value of a uniform polynomial: the dense blind was added, or is what is evaluated",
  blinder: "the sum of a polynomial's blinder and that of the blind: uniform",
} as const;

/** The cells of `pads` that hide the scalars of a message, one each; or why they are not hidden. */
export type Hiding = { readonly pads: readonly number[] } | { readonly clear: keyof typeof CLEAR };
