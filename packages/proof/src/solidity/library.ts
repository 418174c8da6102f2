import type { PointG2 } from "../field/curve.ts";
import { PADS_DEGREE, ZEROCHECK_DEGREE } from "../circuit/hidden.ts";
import { Q } from "../field/fr.ts";

export const hex = (value: bigint | number): string => `0x${BigInt(value).toString(16)}`;

/** Where things lie in memory. The modulus takes the place of Solidity's free memory pointer: short code. */
export const MODULUS = "mload(0x40)";
export const STATE = 0x80;
export const MESSAGE = 0xa0;

/** keccak256("Rejected(uint256)"), first four bytes. */
const REJECTED = "0x94064f91";

export interface LibraryOptions {
  /** Accumulator (64 bytes), then operand (64) and scalar of the curve operations; 12 words in all. */
  readonly curve: number;
  readonly checks: {
    readonly length: number;
    readonly scalar: number;
    readonly precompile: number;
    readonly pairing: number;
  };
  readonly tau2: PointG2;
  /** Checks that a test leaves out. */
  readonly omitted: ReadonlySet<string>;
  /** Functions that only some statements need. */
  readonly publicInput: boolean;
  readonly publicOutput: boolean;
  readonly hiding: boolean;
}

/**
 * Yul functions that the generated code calls. Numbers are reduced modulo p unless a comment says otherwise. Yul
 * evaluates arguments from right to left, so a call and a look at its result are separate statements.
 */
export function library({ curve, checks, tau2, omitted, publicInput, publicOutput, hiding }: LibraryOptions): string {
  const [operand, scalar] = [hex(curve + 64), hex(curve + 128)];
  // a check that is left out still evaluates its condition, so that nothing else changes
  const unless = (check: string, condition: string, code: number) =>
    omitted.has(check) ? `pop(${condition})` : `if ${condition} { fail(${code}) }`;
  const curveCall = unless("precompile", "iszero(and(ok, eq(returndatasize(), 64)))", checks.precompile);
  const parts = [
    `function fail(n) { mstore(0, shl(224, ${REJECTED})) mstore(4, n) revert(0, 36) }`,
    // Transcript: absorb n words of calldata at o; draw challenges.
    `function absorb(o, n) { n := shl(5, n) calldatacopy(${hex(MESSAGE)}, o, n) mstore(${hex(STATE)}, keccak256(${hex(STATE)}, add(n, 32))) }`,
    `function inField(o, n) {
      let p := ${MODULUS} let bad
      for { let e := add(o, shl(5, n)) } lt(o, e) { o := add(o, 32) } { bad := or(bad, iszero(lt(calldataload(o), p))) }
      ${unless("scalar range", "bad", checks.scalar)}
    }`,
    `function words(o, n) { inField(o, n) absorb(o, n) }`,
    `function draw() -> x { x := keccak256(${hex(STATE)}, 32) mstore(${hex(STATE)}, x) x := mod(x, ${MODULUS}) }`,
    `function drawMany(o, n) { for { let e := add(o, shl(5, n)) } lt(o, e) { o := add(o, 32) } { mstore(o, draw()) } }`,
    `function powers(o, g, n) {
      let p := ${MODULUS} let v := 1
      for { let e := add(o, shl(5, n)) } lt(o, e) { o := add(o, 32) } { mstore(o, v) v := mulmod(v, g, p) }
    }`,
    // Multilinear extensions at points in memory, lowest variable first.
    `function equality(a, b, n) -> v {
      let p := ${MODULUS} let two := add(add(p, p), 1) v := 1
      for { let e := add(a, shl(5, n)) } lt(a, e) { a := add(a, 32) b := add(b, 32) } {
        let x := mload(a) let y := mload(b) let t := mulmod(x, y, p)
        v := mulmod(v, add(add(t, t), sub(two, add(x, y))), p)
      }
    }`,
    `function prefixEquality(a, b, n, count) -> v {
      let p := ${MODULUS} let all := 1
      for { let e := add(a, shl(5, n)) } lt(a, e) { a := add(a, 32) b := add(b, 32) count := shr(1, count) } {
        let x := mload(a) let y := mload(b) let h := mulmod(x, y, p)
        let l := addmod(h, sub(add(add(p, p), 1), add(x, y)), p)
        switch and(count, 1)
        case 0 { v := mulmod(l, v, p) }
        default { v := addmod(mulmod(l, all, p), mulmod(h, v, p), p) }
        all := mulmod(all, add(l, h), p)
      }
    }`,
    `function prefix(a, n, count) -> v {
      let p := ${MODULUS}
      for { let e := add(a, shl(5, n)) } lt(a, e) { a := add(a, 32) count := shr(1, count) } {
        let x := mload(a) let l := sub(add(p, 1), x)
        switch and(count, 1)
        case 0 { v := mulmod(l, v, p) }
        default { v := addmod(l, mulmod(x, v, p), p) }
      }
    }`,
    `function bits(a, n, b) -> v {
      let p := ${MODULUS} v := 1
      for { let e := add(a, shl(5, n)) } lt(a, e) { a := add(a, 32) b := shr(1, b) } {
        let x := mload(a)
        if iszero(and(b, 1)) { x := sub(add(p, 1), x) }
        v := mulmod(v, x, p)
      }
    }`,
    `function index(a, n) -> v {
      let p := ${MODULUS}
      for { let k := 0 } lt(k, n) { k := add(k, 1) } { v := addmod(v, mulmod(mload(add(a, shl(5, k))), shl(k, 1), p), p) }
    }`,
    // Sumchecks: messages in calldata at o, the point goes to pt, the top variable comes first.
    zeroSumcheck(ZEROCHECK_DEGREE),
    productSumcheck(),
    ...(hiding
      ? [zeroSumcheck(PADS_DEGREE), zeroRounds(ZEROCHECK_DEGREE), zeroRounds(PADS_DEGREE), productRounds()]
      : []),
    // Curve: accumulator += k point.
    `function addOperand(k) {
      mstore(${scalar}, k)
      let ok := staticcall(gas(), 7, ${operand}, 0x60, ${operand}, 0x40)
      ${curveCall}
      ok := staticcall(gas(), 6, ${hex(curve)}, 0x80, ${hex(curve)}, 0x40)
      ${curveCall}
    }`,
    `function addPoint(o, k) { calldatacopy(${operand}, o, 64) addOperand(k) }`,
    `function addConstant(x, y, k) { mstore(${operand}, x) mstore(${hex(curve + 96)}, y) addOperand(k) }`,
    `function addBlocks(o, n, w, hi, vars) {
      let p := ${MODULUS}
      for { let i := 0 } lt(i, n) { i := add(i, 1) } { addPoint(add(o, shl(6, i)), mulmod(w, bits(hi, vars, i), p)) }
    }`,
    `function addFolds(o, n, q) { for { let i := 0 } lt(i, n) { i := add(i, 1) } { addPoint(add(o, shl(6, i)), mload(add(q, shl(5, add(i, 1))))) } }`,
    `function foldEvaluations(o, n, rho, q, out) {
      let p := ${MODULUS} let even let odd let square let v := calldataload(add(o, shl(6, n)))
      for { let i := 0 } lt(i, n) { i := add(i, 1) o := add(o, 64) } {
        let w := mload(add(q, shl(5, i))) let e := calldataload(o) let d := calldataload(add(o, 32))
        even := addmod(even, mulmod(w, e, p), p)
        odd := addmod(odd, mulmod(w, d, p), p)
        square := addmod(square, mulmod(w, v, p), p)
        v := addmod(e, mulmod(mload(add(rho, shl(5, i))), add(d, sub(p, e)), p), p)
      }
      mstore(out, even) mstore(add(out, 32), odd) mstore(add(out, 64), square) mstore(add(out, 96), v)
    }`,
    pairing(curve, checks, tau2),
    ...(hiding || publicInput || publicOutput ? [equalityTable()] : []),
    ...(publicInput || publicOutput ? publicTensor() : []),
  ];
  return parts.join("\n    ");
}

/** The messages t_1 ... t_degree of a round, read by `load` at o: leaves t(x) - t_0 in v, and lowers claim to t_0. */
function zeroRound(degree: number, load: string, draw: string): string {
  const word = (i: number) => `${load}(${i === 0 ? "o" : `add(o, ${32 * i})`})`;
  const others = Array.from({ length: degree - 1 }, (_, i) => word(i)).reduce((sum, next) => `add(${sum}, ${next})`);
  return `let v := ${word(degree - 1)}
        claim := addmod(claim, sub(p, mulmod(mload(add(tau, shl(5, n))), addmod(${others}, v, p), p)), p)
        ${draw}
        for { let e := add(o, ${32 * (degree - 2)}) } iszero(lt(e, o)) { e := sub(e, 32) } { v := add(mulmod(v, x, p), ${load}(e)) }
        v := mulmod(v, x, p)
        claim := addmod(claim, v, p)`;
}

/** Zerocheck of n variables. */
const zeroSumcheck = (degree: number): string => `function zeroSumcheck${degree}(n, tau, pt, o) -> claim {
      let p := ${MODULUS} inField(o, mul(n, ${degree}))
      for {} n { o := add(o, ${32 * degree}) } {
        n := sub(n, 1)
        ${zeroRound(degree, "calldataload", `absorb(o, ${degree}) let x := draw() mstore(add(pt, shl(5, n)), x)`)}
      }
    }`;

/** The same over pads in memory at o: what they add to the final claim. */
const zeroRounds = (degree: number): string => `function zeroRounds${degree}(n, tau, pt, o) -> claim {
      let p := ${MODULUS}
      for {} n { o := add(o, ${32 * degree}) } {
        n := sub(n, 1)
        ${zeroRound(degree, "mload", "let x := mload(add(pt, shl(5, n)))")}
      }
    }`;

function productRound(load: string, draw: string): string {
  return `let a := ${load}(o) let b := ${load}(add(o, 32))
        let c := add(claim, sub(mul(3, p), add(add(a, a), b)))
        ${draw}
        claim := addmod(mulmod(add(mulmod(b, x, p), c), x, p), a, p)`;
}

/** Sumcheck of products over the variables n - 1 ... m. */
const productSumcheck = (): string => `function productSumcheck(n, m, start, pt, o) -> claim {
      let p := ${MODULUS} claim := start inField(o, shl(1, sub(n, m)))
      for {} gt(n, m) { o := add(o, 64) } {
        n := sub(n, 1)
        ${productRound("calldataload", "absorb(o, 2) let x := draw() mstore(add(pt, shl(5, n)), x)")}
      }
    }`;

const productRounds = (): string => `function productRounds(n, m, pt, o) -> claim {
      let p := ${MODULUS}
      for {} gt(n, m) { o := add(o, 64) } {
        n := sub(n, 1)
        ${productRound("mload", "let x := mload(add(pt, shl(5, n)))")}
      }
    }`;

/** eq(b, .) of n variables, the lowest first. */
const equalityTable = (): string => `function equalityTable(table, b, n) {
      let p := ${MODULUS} mstore(table, 1)
      for { let k := 0 } lt(k, n) { k := add(k, 1) } {
        let half := shl(add(k, 5), 1) let x := mload(add(b, shl(5, k)))
        for { let i := add(table, half) } gt(i, table) { } {
          i := sub(i, 32)
          let low := mload(i) let high := mulmod(low, x, p)
          mstore(add(i, half), high)
          mstore(i, addmod(low, sub(p, high), p))
        }
      }
    }`;

/** e(accumulator, [1]) e(-witness, [tau]) = 1. */
function pairing(curve: number, checks: LibraryOptions["checks"], { x, y }: PointG2): string {
  const at = (word: number) => hex(curve + 32 * word);
  return `function pairing(o) {
      mstore(${at(2)}, 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2)
      mstore(${at(3)}, 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed)
      mstore(${at(4)}, 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b)
      mstore(${at(5)}, 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa)
      calldatacopy(${at(6)}, o, 64)
      let y := mload(${at(7)})
      if y { mstore(${at(7)}, sub(${hex(Q)}, y)) }
      mstore(${at(8)}, ${hex(x.c1)}) mstore(${at(9)}, ${hex(x.c0)}) mstore(${at(10)}, ${hex(y.c1)}) mstore(${at(11)}, ${hex(y.c0)})
      let ok := staticcall(gas(), 8, ${hex(curve)}, 0x180, 0, 32)
      if iszero(and(ok, eq(returndatasize(), 32))) { fail(${checks.precompile}) }
      if iszero(eq(mload(0), 1)) { fail(${checks.pairing}) }
    }`;
}

/**
 * Value of a public tensor: sum over samples s and units u of value(s, u) eq(a, s) table(u). `each` 1: signed bytes, one
 * after the other; 32: field elements.
 */
function publicTensor(): string[] {
  return [
    `function publicRow(o, each, units, table) -> row {
      let p := ${MODULUS}
      for { let e := add(table, shl(5, units)) } lt(table, e) { table := add(table, 32) o := add(o, each) } {
        let v := calldataload(o)
        if eq(each, 1) { v := signextend(0, shr(248, v)) if slt(v, 0) { v := add(v, p) } }
        row := addmod(row, mulmod(v, mload(table), p), p)
      }
    }`,
    `function publicTensor(o, each, samples, units, a, n, table) -> total {
      let p := ${MODULUS}
      for { let s := 0 } lt(s, samples) { s := add(s, 1) } {
        total := addmod(total, mulmod(publicRow(o, each, units, table), bits(a, n, s), p), p)
        o := add(o, mul(each, units))
      }
    }`,
  ];
}
