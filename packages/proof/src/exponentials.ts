/** Fraction bits of the series; the error stays far below the distance of any entry from a tie. */
const PRECISION = 192n;
const ONE = 1n << PRECISION;

/** exp(x) 2^PRECISION for x >= 0 given as x 2^PRECISION, by the power series. */
function exponential(x: bigint): bigint {
  let term = ONE;
  let sum = 0n;
  for (let k = 1n; term > 0n; k++) {
    sum += term;
    term = (term * x) / (ONE * k);
  }
  return sum;
}

/**
 * round(2^exponentialScale exp(-u / 2^logitScale)) for u = 0, 1, ... up to the first entry that is 0. Computed in
 * integers because `Math.exp` differs between engines.
 */
export function exponentialTable(exponentialScale: number, logitScale: number): number[] {
  const table: number[] = [];
  for (let u = 0n; table.at(-1) !== 0; u++) {
    const divisor = exponential((u << PRECISION) >> BigInt(logitScale));
    table.push(Number(((ONE << BigInt(exponentialScale + 1)) + divisor) / (2n * divisor)));
  }
  return table;
}
