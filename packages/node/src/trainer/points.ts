import { decodePoint, encodePoint, type Point } from "@skynet/proof";
import { concatBytes } from "@skynet/protocol";

const POINT_BYTES = 64;

export const encodePoints = (points: readonly Point[]): Uint8Array => concatBytes(...points.map(encodePoint));

/** @throws ProofError `BadPoint` */
export const decodePoints = (bytes: Uint8Array): Point[] =>
  Array.from({ length: Math.ceil(bytes.length / POINT_BYTES) }, (_, i) =>
    decodePoint(bytes.subarray(i * POINT_BYTES, (i + 1) * POINT_BYTES)),
  );
