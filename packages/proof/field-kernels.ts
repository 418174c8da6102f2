// Generates the arithmetic of BN254's two prime fields for the AssemblyScript compiler. Unrolled limb code is long and
// regular, so it is written by this program and not by hand.
//
// An element is 9 limbs of 29 bits, one u32 each (36 bytes), least significant first, in Montgomery form x R mod p with
// R = 2^261. Values are lazy: every operand and every result is below 2p, not below p. This closes because
// R > 2^7 p: a Montgomery product of operands below 2p is below p + 4 p^2 / R < 2p (Walter, "Montgomery exponentiation
// needs no final subtractions", 1999).
// 29-bit limbs let a column of products collect in 64 bits without carries: 18 products below 2^58 and one carry stay
// below 2^63.
import { P, Q } from "./src/field/fr.ts";

const LIMBS = 9;
const BITS = 29n;
const MASK = (1n << BITS) - 1n;
const R = 1n << (BITS * BigInt(LIMBS));

/** Limb indices 0 ... 8. */
const indices = Array.from({ length: LIMBS }, (_, i) => i);

const limbsOf = (value: bigint): bigint[] => indices.map((i) => (value >> (BITS * BigInt(i))) & MASK);

/** One line of code per limb. */
const perLimb = (line: (i: number) => string): string => indices.map((i) => `  ${line(i)}`).join("\n");

/** -1/p mod 2^29, by Newton's iteration. */
function negatedInverse(modulus: bigint): bigint {
  let inverse = 1n;
  for (let bits = 1; bits < 29; bits *= 2) inverse = (inverse * (2n - modulus * inverse)) & MASK;
  return (inverse * -1n) & MASK;
}

const loads = (name: string, pointer: string): string =>
  perLimb((i) => `const ${name}${i} = <u64>load<u32>(${pointer}, ${4 * i});`);

/**
 * Montgomery multiplication, one row of the schoolbook product after the other, each followed by its reduction step
 * (CIOS; Koc, Acar, Kaliski, "Analyzing and comparing Montgomery multiplication algorithms", 1996).
 */
function multiplication(modulus: readonly bigint[], mu: bigint): string {
  const rows = indices.map((i) => {
    const first = i === 0;
    const old = (j: number) => (first || j === LIMBS - 1 ? "" : `t${j} + `);
    const lines = [
      `${first ? "let " : ""}u = ${first ? "" : "t0 + "}x${i} * y0;`,
      `${first ? "let " : ""}m = ((u & ${MASK}) * ${mu}) & ${MASK};`,
      `u = (u + m * ${modulus[0]}) >> ${BITS};`,
    ];
    for (let j = 1; j < LIMBS; j++) {
      const carry = j === 1 ? "u + " : "";
      lines.push(`${first ? "let " : ""}t${j - 1} = ${carry}${old(j)}x${i} * y${j} + m * ${modulus[j]};`);
    }
    return lines.map((line) => `  ${line}`).join("\n");
  });
  const stores = perLimb((i) => {
    if (i === LIMBS - 1) return `store<u32>(z, <u32>c, ${4 * i});`;
    return `c += t${i}; store<u32>(z, <u32>(c & ${MASK}), ${4 * i}); c >>= ${BITS};`;
  });
  return `${loads("x", "x")}\n${loads("y", "y")}\n${rows.join("\n")}\n  let c: u64 = 0;\n${stores}`;
}

/** Montgomery squaring by columns: the 36 mixed products count twice, so they are computed once. */
function squaring(modulus: readonly bigint[], mu: bigint): string {
  const doubled = perLimb((i) => `const d${i} = x${i} << 1;`);
  const columns = Array.from({ length: 2 * LIMBS - 1 }, (_, k) => {
    const low = Math.max(0, k - LIMBS + 1);
    const terms: string[] = [];
    for (let i = low; 2 * i < k; i++) terms.push(`d${i} * x${k - i}`);
    if (k % 2 === 0) terms.push(`x${k / 2} * x${k / 2}`);
    for (let i = low; i < Math.min(k, LIMBS); i++) terms.push(`m${i} * ${modulus[k - i]}`);
    const sum = `  c += ${terms.join(" + ")};`;
    if (k < LIMBS)
      return `${sum}\n  const m${k} = ((c & ${MASK}) * ${mu}) & ${MASK};\n  c = (c + m${k} * ${modulus[0]}) >> ${BITS};`;
    return `${sum}\n  store<u32>(z, <u32>(c & ${MASK}), ${4 * (k - LIMBS)}); c >>= ${BITS};`;
  });
  return `${loads("x", "x")}\n${doubled}\n  let c: u64 = 0;\n${columns.join("\n")}\n  store<u32>(z, <u32>c, ${4 * (LIMBS - 1)});`;
}

/** `term(i)` per limb with signed carries; when the total is negative, `correction` is added back. */
function signedSum(term: (i: number) => string, correction: readonly bigint[]): string {
  return `  let c: i64 = 0;
${perLimb((i) => `c += ${term(i)}; const d${i} = c & ${MASK}; c >>= ${BITS};`)}
  const negative = c;
  c = 0;
${perLimb((i) => `c += d${i} + (negative & ${correction[i]}); store<u32>(z, <u32>(c & ${MASK}), ${4 * i}); c >>= ${BITS};`)}`;
}

const signedLoad = (pointer: string, i: number): string => `<i64>load<u32>(${pointer}, ${4 * i})`;

const data = (name: string, value: bigint, comment: string): string =>
  `/** ${comment} */\nexport const ${name} = memory.data<u32>([${limbsOf(value).join(", ")}]);\n`;

const words = (value: bigint): string =>
  `memory.data<u32>([${Array.from({ length: 8 }, (_, i) => (value >> BigInt(32 * i)) & 0xffffffffn).join(", ")}])`;

function field(prefix: string, modulus: bigint): string {
  const p = limbsOf(modulus);
  const twice = limbsOf(2n * modulus);
  const mu = negatedInverse(modulus);
  const constant = prefix.toUpperCase();
  const zeroOf = indices.map((i) => `load<u32>(x, ${4 * i})`).join(" | ");
  const modulusOf = indices.map((i) => `(load<u32>(x, ${4 * i}) ^ ${p[i]})`).join(" | ");
  return `
${data(`${constant}_ONE`, R % modulus, "R mod p: the Montgomery form of 1.")}
${data(`${constant}_R2`, (R * R) % modulus, "R^2 mod p: multiplying by it turns an integer into its Montgomery form.")}
/** p as 32-bit words, and p - 2, the exponent of Fermat's inverse. */
export const ${constant}_WORDS = ${words(modulus)};
const ${constant}_EXPONENT = ${words(modulus - 2n)};
const ${constant}_POWERS = memory.data(${16 * 36});

/** z = x y / R */
export function ${prefix}Multiply(z: usize, x: usize, y: usize): void {
${multiplication(p, mu)}
}

/** z = x^2 / R */
export function ${prefix}Square(z: usize, x: usize): void {
${squaring(p, mu)}
}

/** z = x + y */
export function ${prefix}Add(z: usize, x: usize, y: usize): void {
${signedSum((i) => `${signedLoad("x", i)} + ${signedLoad("y", i)} - ${twice[i]}`, twice)}
}

/** z = x - y */
export function ${prefix}Subtract(z: usize, x: usize, y: usize): void {
${signedSum((i) => `${signedLoad("x", i)} - ${signedLoad("y", i)}`, twice)}
}

/** z = the representative of x below p; x below 2p */
export function ${prefix}Reduce(z: usize, x: usize): void {
${signedSum((i) => `${signedLoad("x", i)} - ${p[i]}`, p)}
}

/** Whether x, below 2p, stands for zero: it is 0 or p. */
export function ${prefix}IsZero(x: usize): bool {
  return (${zeroOf}) == 0 || (${modulusOf}) == 0;
}

/** z = x^(p - 2) = 1/x (0 for 0), four bits of the exponent at a time */
export function ${prefix}Inverse(z: usize, x: usize): void {
  memory.copy(${constant}_POWERS, ${constant}_ONE, 36);
  for (let i: usize = 1; i < 16; i++) ${prefix}Multiply(${constant}_POWERS + 36 * i, ${constant}_POWERS + 36 * (i - 1), x);
  memory.copy(z, ${constant}_ONE, 36);
  for (let i = 63; i >= 0; i--) {
    for (let k = 0; k < 4; k++) ${prefix}Square(z, z);
    const digit = (load<u32>(${constant}_EXPONENT + <usize>((i >> 3) << 2)) >> ((i & 7) << 2)) & 15;
    if (digit != 0) ${prefix}Multiply(z, z, ${constant}_POWERS + 36 * <usize>digit);
  }
}
`;
}

/** The AssemblyScript source of both fields: functions frMultiply, frAdd, ... and fqMultiply, fqAdd, ... */
export function fieldKernels(): string {
  return `// Generated by field-kernels.ts.\n${field("fr", P)}${field("fq", Q)}`;
}
