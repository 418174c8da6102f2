// The scalar field of BN254 in BigInt: for single values, not for vectors.

/** Order of the groups of BN254: the modulus of the scalar field Fr. */
export const P = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

/** Modulus of the field Fq of the coordinates. */
export const Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

/** The representative of `value` in [0, modulus). */
export function mod(value: bigint, modulus: bigint = P): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** base^exponent for an exponent >= 0. Time depends on the exponent. */
export function power(base: bigint, exponent: bigint, modulus: bigint = P): bigint {
  let result = 1n;
  let square = mod(base, modulus);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** 1 / value for a prime modulus; 0 for 0. Extended Euclid: its time depends on the value. */
export function inverse(value: bigint, modulus: bigint = P): bigint {
  let [a, b] = [mod(value, modulus), modulus];
  let [s, t] = [1n, 0n];
  if (a === 0n) return 0n;
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [s, t] = [t, s - quotient * t];
  }
  return mod(s, modulus);
}
