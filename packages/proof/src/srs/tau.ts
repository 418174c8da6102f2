import { keccak256 } from "@skynet/protocol";
import { GENERATOR_G2, multiplyG2, type PointG2, readWord } from "../field/curve.ts";
import { mod } from "../field/fr.ts";

/** The public seed of development chains: all their nodes derive the same string, hence the same verifiers. */
export const DEVELOPMENT_SEED = "skynet/1/development";

/** A scalar from 64 bytes, without bias. */
export function tauOfBytes(bytes: Uint8Array): bigint {
  return mod((readWord(bytes, 0) << 256n) | readWord(bytes, 32));
}

export function tauOfSeed(text: string): bigint {
  const seed = new TextEncoder().encode(text);
  const bytes = new Uint8Array(64);
  bytes.set(keccak256(Uint8Array.of(0), seed), 0);
  bytes.set(keccak256(Uint8Array.of(1), seed), 32);
  return tauOfBytes(bytes);
}

let development: PointG2 | undefined;

/** Whether this is tau of the public seed, whatever a file says of its origin. */
export function isDevelopmentTau({ x, y }: PointG2): boolean {
  development ??= multiplyG2(GENERATOR_G2, tauOfSeed(DEVELOPMENT_SEED));
  const own = development;
  return x.c0 === own.x.c0 && x.c1 === own.x.c1 && y.c0 === own.y.c0 && y.c1 === own.y.c1;
}
