// Rounds of the sumcheck protocol. Tables bind their top variable first: the values at 0 and 1 of the bound variable are
// T[i] and T[i + half]. Every round adds over i < half.
import { frMultiply, frAdd, frSubtract, FR_ONE } from "../../../build/field";
import { E, copyElement } from "./vector";

const A = memory.data(36), B = memory.data(36), C = memory.data(36), T = memory.data(36), U = memory.data(36);

/** Values and steps of up to nine tables of a lookup: h, d[4], numerators[4]. */
const LOOKUP = memory.data(2 * 9 * 36);

/** Polynomials of degree 2, each as value, first and second difference. */
const LOW = memory.data(3 * 36), HIGH = memory.data(3 * 36), LOW_SUM = memory.data(3 * 36), HIGH_SUM = memory.data(3 * 36);
const PRODUCT = memory.data(3 * 36);

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
  if (numerators) {
    frMultiply(T, n, d + E);
    frMultiply(U, n + E, d);
    frAdd(T, T, U);
  } else {
    frAdd(T, d, d + E);
  }
  frSubtract(z, z, T);
}

/** Z = x y for lines x, y with values at 0 and steps. */
function startProduct(z: usize, x: usize, xStep: usize, y: usize, yStep: usize): void {
  frMultiply(z, x, y);
  frAdd(T, x, xStep);
  frAdd(U, y, yStep);
  frMultiply(T, T, U);
  frSubtract(z + E, T, z);
  frMultiply(T, xStep, yStep);
  frAdd(z + 2 * E, T, T);
}

/** Z = n0 d1 + n1 d0, or d0 + d1 without numerators, for the lanes at d, n and their steps. */
function startSum(z: usize, d: usize, n: usize, toSteps: usize, numerators: bool): void {
  if (!numerators) {
    frAdd(z, d, d + E);
    frAdd(z + E, d + toSteps, d + E + toSteps);
    return;
  }
  startProduct(z, n, n + toSteps, d + E, d + E + toSteps);
  startProduct(PRODUCT, n + E, n + E + toSteps, d, d + toSteps);
  for (let i: usize = 0; i < 3 * E; i += E) frAdd(z + i, z + i, PRODUCT + i);
}

/** Z at the next point; degree 1 has no second difference. */
function next(z: usize, degree: i32): void {
  frAdd(z, z, z + E);
  if (degree == 2) frAdd(z + E, z + E, z + 2 * E);
}

/**
 * Adds eq ((h L - l) H - k L) at 0 ... 5, where L = d0 d1, H = d2 d3, l = n0 d1 + n1 d0, k = n2 d3 + n3 d2. These four have
 * degree 2 or 1: three products each, then additions give all points.
 */
function addFourLanes(out: usize, eq: usize, values: usize, toSteps: usize, numerators: bool): void {
  const d = values + E;
  const n = values + 5 * E;
  startProduct(LOW, d, d + toSteps, d + E, d + E + toSteps);
  startProduct(HIGH, d + 2 * E, d + 2 * E + toSteps, d + 3 * E, d + 3 * E + toSteps);
  startSum(LOW_SUM, d, n, toSteps, numerators);
  startSum(HIGH_SUM, d + 2 * E, n + 2 * E, toSteps, numerators);
  const degree = numerators ? 2 : 1;
  for (let point = 0; ; point++) {
    frMultiply(C, values, LOW);
    frSubtract(C, C, LOW_SUM);
    frMultiply(C, C, HIGH);
    frMultiply(T, HIGH_SUM, LOW);
    frSubtract(C, C, T);
    frMultiply(C, C, eq);
    frAdd(out, out, C);
    if (point == 5) return;
    out += E;
    frAdd(values, values, values + toSteps);
    next(LOW, 2);
    next(HIGH, 2);
    next(LOW_SUM, degree);
    next(HIGH_SUM, degree);
  }
}

/** Adds eq times the polynomial of one or two lanes at 0 ... lanes + 1. */
function addFewLanes(out: usize, eq: usize, values: usize, toSteps: usize, lanes: i32, numerators: bool, count: i32): void {
  for (let point = 0; point < lanes + 2; point++) {
    if (point > 0) advance(values, values + toSteps, count);
    if (lanes == 2) twoLanes(C, values, values + E, numerators);
    else oneLane(C, values, values + E, numerators);
    frMultiply(C, C, eq);
    frAdd(out, out, C);
    out += E;
  }
}

/**
 * Round of sum eq (h prod_j d_j - sum_j n_j prod_{i != j} d_i), a fraction sum h = sum_j n_j / d_j with cleared
 * denominators (Haboeck, "Multivariate lookups based on logarithmic derivatives", 2022). eq[half] does not depend on the
 * bound variable. `tables` lists pointers h, d[lanes] and, with `numerators`, n[lanes]; without them n_j = 1.
 * out = evaluations at 0 ... lanes + 1, the degree; lanes is 1, 2 or 4.
 */
export function lookupRound(out: usize, eq: usize, tables: usize, lanes: i32, numerators: bool, half: i32): void {
  const count = 1 + lanes + (numerators ? lanes : 0);
  const toSteps = 9 * E;
  memory.fill(out, 0, E * (lanes + 2));
  for (let i = 0; i < half; i++) {
    const at = E * i;
    start(tables, count, at, E * half, LOOKUP, LOOKUP + toSteps);
    if (lanes == 4) addFourLanes(out, eq + at, LOOKUP, toSteps, numerators);
    else addFewLanes(out, eq + at, LOOKUP, toSteps, lanes, numerators, count);
  }
}

/**
 * Round of sum eq sum_t coefficient_t prod_f table_f, eq[half] as above. `tables` lists pointers, `terms` is u32 words per
 * term: number of factors, pointer of the coefficient or 0 for 1, index of each table. `scratch` takes 2 x count elements.
 * out = evaluations at 0 ... points - 1.
 */
export function termsRound(
  out: usize, eq: usize, tables: usize, count: i32, terms: usize, termCount: i32, half: i32, scratch: usize, points: i32,
): void {
  const steps = scratch + E * count;
  memory.fill(out, 0, E * points);
  for (let i = 0; i < half; i++) {
    const at = E * i;
    start(tables, count, at, E * half, scratch, steps);
    for (let point = 0; point < points; point++) {
      if (point > 0) advance(scratch, steps, count);
      sumTerms(C, terms, termCount, scratch);
      frMultiply(C, C, eq + at);
      frAdd(out + E * point, out + E * point, C);
    }
  }
}

/** z = sum_t coefficient_t prod_f values[f] */
function sumTerms(z: usize, terms: usize, termCount: i32, values: usize): void {
  memory.fill(z, 0, E);
  for (let t = 0; t < termCount; t++) {
    const factors = load<u32>(terms);
    const coefficient = load<u32>(terms, 4);
    terms += 8;
    let first = <usize>coefficient;
    let f: u32 = 0;
    if (coefficient == 0) {
      first = factors == 0 ? FR_ONE : values + E * load<u32>(terms);
      f = 1;
    }
    copyElement(T, first);
    for (; f < factors; f++) frMultiply(T, T, values + E * load<u32>(terms + (f << 2)));
    terms += factors << 2;
    frAdd(z, z, T);
  }
}
