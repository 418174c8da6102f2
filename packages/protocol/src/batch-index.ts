import { concatBytes, fromHex, keccak256, type Hex } from "./bytes.ts";
import { InvalidInputError } from "./errors.ts";

function bigEndian(value: number, bytes: number, name: string): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * bytes))
    throw new InvalidInputError("BadIndex", `${name} ${value} is not an unsigned ${8 * bytes}-bit integer`);
  const out = new Uint8Array(bytes);
  for (let i = bytes - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256)) out[i] = rest % 256;
  return out;
}

function sized(hex: Hex, length: number, name: string): Uint8Array {
  const bytes = fromHex(hex);
  if (bytes.length !== length)
    throw new InvalidInputError("BadHex", `${name} has ${bytes.length} bytes instead of ${length}`);
  return bytes;
}

/**
 * Batch that `worker` trains on in local step `step` of `round`, as the contract computes it:
 * uint(keccak256(abi.encodePacked(jobSeed bytes32, worker address, round uint16, step uint32))) % nBatches.
 * @throws InvalidInputError when a value does not fit its Solidity type
 */
export function batchIndex(jobSeed: Hex, worker: Hex, round: number, step: number, nBatches: number): number {
  if (!Number.isInteger(nBatches) || nBatches < 1)
    throw new InvalidInputError("BadIndex", `a dataset has at least one batch, not ${nBatches}`);
  const packed = concatBytes(
    sized(jobSeed, 32, "the job seed"),
    sized(worker, 20, "the worker's address"),
    bigEndian(round, 2, "round"),
    bigEndian(step, 4, "step"),
  );
  return Number(keccak256(packed).reduce((sum, byte) => (sum * 256n + BigInt(byte)) % BigInt(nBatches), 0n));
}
