// Rounds of the sumcheck protocol. Tables bind their top variable first: the values at 0 and 1 of the bound variable are
// T[i] and T[i + half]. Every round adds over i < half.
import { frMultiply, frAdd, frSubtract, FR_ONE } from "../../../build/field";
import { E, copyElement } from "./vector";

/** Evaluation points 0 ... 5: enough for degree 5. */
const POINTS: usize = 6;

const A = memory.data(36), B = memory.data(36), C = memory.data(36), T = memory.data(36), U = memory.data(36);

/** Values and steps of up to nine tables of a lookup: h, d[4], numerators[4]. */
const LOOKUP = memory.data(2 * 9 * 36);

/** Round of sum x y: out[0] = constant, out[1] = quadratic coefficient. The claim gives the linear one. */
export function quadraticRound(out: usize, x: usize, y: usize, half: i32): void {
  const offset = E * half;
  memory.fill(out, 0, 2 * E);
  for (let i = 0; i < half; i++) {
    frMultiply(T, x, y);
    frAdd(out, out, T);
    frSubtract(A, x + offset, x);
    frSubtract(B, y + offset, y);
    frMultiply(T, A, B);
    frAdd(out + E, out + E, T);
    x += E;
    y += E;
  }
}

/** values[j] = table j at 0, steps[j] = its difference to the value at 1. */
function start(tables: usize, count: i32, at: usize, offset: usize, values: usize, steps: usize): void {
  for (let j = 0; j < count; j++) {
    const source = <usize>load<u32>(tables) + at;
    copyElement(values, source);
    frSubtract(steps, source + offset, source);
    tables += 4;
    values += E;
    steps += E;
  }
}

/** values += steps: one evaluation point further. */
function advance(values: usize, steps: usize, count: i32): void {
  for (let j = 0; j < count; j++) {
    frAdd(values, values, steps);
    values += E;
    steps += E;
  }
}

/** z = a x + b y */
// @ts-ignore: decorator
@inline
function cross(z: usize, a: usize, x: usize, b: usize, y: usize): void {
  frMultiply(z, a, x);
  frMultiply(U, b, y);
  frAdd(z, z, U);
}

/** z = h d - n */
function oneLane(z: usize, h: usize, d: usize, numerators: bool): void {
  frMultiply(z, h, d);
  frSubtract(z, z, numerators ? d + E : FR_ONE);
}

/** z = h d0 d1 - n0 d1 - n1 d0 */
function twoLanes(z: usize, h: usize, d: usize, numerators: bool): void {
  const n = d + 2 * E;
  frMultiply(z, d, d + E);
  frMultiply(z, z, h);
  if (numerators) cross(T, n, d + E, n + E, d);
  else frAdd(T, d, d + E);
  frSubtract(z, z, T);
}

/** z = h d0 d1 d2 d3 - (n0 d1 + n1 d0) d2 d3 - (n2 d3 + n3 d2) d0 d1 */
function fourLanes(z: usize, h: usize, d: usize, numerators: bool): void {
  const n = d + 4 * E;
  frMultiply(A, d, d + E);
  frMultiply(B, d + 2 * E, d + 3 * E);
  frMultiply(z, A, B);
  frMultiply(z, z, h);
  if (numerators) cross(T, n, d + E, n + E, d);
  else frAdd(T, d, d + E);
  frMultiply(T, T, B);
  frSubtract(z, z, T);
  if (numerators) cross(T, n + 2 * E, d + 3 * E, n + 3 * E, d + 2 * E);
  else frAdd(T, d + 2 * E, d + 3 * E);
  frMultiply(T, T, A);
  frSubtract(z, z, T);
}

/**
 * Round of sum eq (h prod_j d_j - sum_j n_j prod_{i != j} d_i), a fraction sum h = sum_j n_j / d_j with cleared
 * denominators (Haboeck, "Multivariate lookups based on logarithmic derivatives", 2022). eq[half] does not depend on the
 * bound variable. `tables` lists pointers h, d[lanes] and, with `numerators`, n[lanes]; without them n_j = 1.
 * out = evaluations at 0 ... 5; lanes is 1, 2 or 4.
 */
export function lookupRound(out: usize, eq: usize, tables: usize, lanes: i32, numerators: bool, half: i32): void {
  const count = 1 + lanes + (numerators ? lanes : 0);
  const values = LOOKUP;
  const steps = LOOKUP + 9 * E;
  memory.fill(out, 0, POINTS * E);
  for (let i = 0; i < half; i++) {
    const at = E * i;
    start(tables, count, at, E * half, values, steps);
    for (let point: usize = 0; point < POINTS; point++) {
      if (point > 0) advance(values, steps, count);
      if (lanes == 4) fourLanes(C, values, values + E, numerators);
      else if (lanes == 2) twoLanes(C, values, values + E, numerators);
      else oneLane(C, values, values + E, numerators);
      frMultiply(C, C, eq + at);
      frAdd(out + point * E, out + point * E, C);
    }
  }
}

/**
 * Round of sum eq sum_t coefficient_t prod_f table_f, eq[half] as above. `tables` lists pointers, `terms` is u32 words per
 * term: number of factors, pointer of the coefficient, index of each table. `scratch` takes 2 x count elements.
 * out = evaluations at 0 ... 5; no term has more than 5 factors.
 */
export function termsRound(
  out: usize, eq: usize, tables: usize, count: i32, terms: usize, termCount: i32, half: i32, scratch: usize,
): void {
  const steps = scratch + E * count;
  memory.fill(out, 0, POINTS * E);
  for (let i = 0; i < half; i++) {
    const at = E * i;
    start(tables, count, at, E * half, scratch, steps);
    for (let point: usize = 0; point < POINTS; point++) {
      if (point > 0) advance(scratch, steps, count);
      sumTerms(C, terms, termCount, scratch);
      frMultiply(C, C, eq + at);
      frAdd(out + point * E, out + point * E, C);
    }
  }
}

/** z = sum_t coefficient_t prod_f values[f] */
function sumTerms(z: usize, terms: usize, termCount: i32, values: usize): void {
  memory.fill(z, 0, E);
  for (let t = 0; t < termCount; t++) {
    const factors = load<u32>(terms);
    copyElement(T, load<u32>(terms, 4));
    terms += 8;
    for (let f: u32 = 0; f < factors; f++) {
      frMultiply(T, T, values + E * load<u32>(terms));
      terms += 4;
    }
    frAdd(z, z, T);
  }
}
