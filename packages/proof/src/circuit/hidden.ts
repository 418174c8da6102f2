import type { Circuit, PadLayout } from "./circuit.ts";
import { log2Up } from "./layout.ts";

/** Degree of the inner polynomial of the zerocheck: a helper times four denominators. */
export const ZEROCHECK_DEGREE = 5;

/** The same for the zerocheck of the pads' products. */
export const PADS_DEGREE = 2;

type Shape = Pick<Circuit, "statement" | "settings" | "lookups" | "products" | "contractions">;

/**
 * Names of the products of two hidden values behind the zerocheck, in the order in which the script multiplies. Where
 * nothing is hidden, a product is known once its factors are, so that a third factor is no product any more.
 */
export function zerocheckProducts({ lookups, products, settings }: Shape): string[] {
  const names: string[] = [];
  for (const { kind } of lookups) {
    if (kind === "range") names.push("range.upper", "range.lower");
    if (kind === "range" && settings.hiding) names.push("range.helper", "range.first", "range.second");
    if (kind === "pairs") names.push("pairs");
  }
  return [...names, ...products.map(({ name }) => name)];
}

/** Public inputs are known to the verifier: the first layer's matrix product multiplies nothing hidden by them. */
export function contractionProducts({ statement, settings, contractions }: Shape): string[] {
  const known = statement === "inference" && settings.input === "public";
  return contractions
    .filter(({ kind, layer }) => !(known && kind === "forward" && layer === 0))
    .map(({ name }) => name);
}

/** How many scalars are hidden, and where their pads lie. */
export function planPads(
  shape: Shape,
  sumchecks: { zerocheckVars: number; contractionVars: number; blockVars: number },
): PadLayout {
  const products = zerocheckProducts(shape).length + contractionProducts(shape).length;
  const productVars = log2Up(products + 1);
  const first = 3 * 2 ** productVars;
  const total = 1;
  const count =
    ZEROCHECK_DEGREE * sumchecks.zerocheckVars +
    total +
    2 * sumchecks.contractionVars +
    PADS_DEGREE * productVars +
    2 * sumchecks.blockVars;
  const spare = 1;
  return { vars: log2Up(first + count + spare), productVars, products, first, count };
}
