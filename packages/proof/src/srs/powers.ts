import { GENERATOR_G2, isPairingProductOne, negate, type PointG2 } from "../field/curve.ts";
import { type Multiexp, SCALAR_WORDS } from "../vectors/multiexp.ts";

/** 32-bit words of a random coefficient: 128 bits. */
const COEFFICIENT_WORDS = 4;

/** e(sum r_i P_(i+1), [1]_2) = e(sum r_i P_i, [tau]_2) for random r_i: then P_(i+1) = tau P_i for all i. */
export function arePowers(
  multiexp: Multiexp,
  length: number,
  g2Tau: PointG2,
  random: (bytes: number) => Uint8Array,
): boolean {
  const words = new Uint32Array((length - 1) * SCALAR_WORDS);
  const bytes = random((length - 1) * COEFFICIENT_WORDS * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < length - 1; i++)
    for (let k = 0; k < COEFFICIENT_WORDS; k++)
      words[i * SCALAR_WORDS + k] = view.getUint32(4 * (i * COEFFICIENT_WORDS + k), true);
  return isPairingProductOne([
    { g1: multiexp.multiply({ words }, 1), g2: GENERATOR_G2 },
    { g1: negate(multiexp.multiply({ words })), g2: g2Tau },
  ]);
}
