import { encode, type Hex, keccak256, toHex, word } from "@skynet/protocol";
import type { Circuit } from "../circuit/circuit.ts";
import { encodePoint, type Point as CurvePoint, type PointG2 } from "../field/curve.ts";
import { weightTensors } from "../program.ts";

/** Changes whenever the protocol's messages or relations change. */
const VERSION = "skynet/2/proof";
const text = new TextEncoder();

/** What prover and verifier of one circuit and one reference string share. */
export interface ProofKey {
  readonly circuit: Circuit;
  /** Names program, settings and protocol. */
  readonly circuitHash: Hex;
  readonly srsHash: Hex;
  /** [tau]_2. */
  readonly tau2: PointG2;
  /** Commitments of the table of exponentials (steps). */
  readonly exponentials: readonly CurvePoint[];
  readonly weightsTag: Uint8Array;
  readonly dataTag: Uint8Array;
  readonly outputTag: Uint8Array;
  /** First state of the transcript. */
  readonly transcriptKey: Uint8Array;
}

const hashOf = (tag: string, value: unknown): Uint8Array => keccak256(keccak256(text.encode(tag)), encode(value));

/** Hash of the program, the settings and the protocol's version. */
export function circuitHashOf({ statement, program, settings, batch }: Circuit): Hex {
  return toHex(hashOf(VERSION, { statement, program, settings, batch }));
}

/** Tag of the ids of weights: shapes, scales, layout and reference string. Steps and inferences of a model share it. */
export function weightsTagOf({ program, settings, slots }: Circuit, srsHash: Hex): Uint8Array {
  const tensors = weightTensors(program).map(({ shape, scale }, i) => ({
    shape,
    scale,
    offset: slots.get(`weights.${i}`)!.offset,
  }));
  return hashOf("skynet/1/weights", { srsHash, blockBits: settings.blockBits, tensors });
}

function dataTagOf({ statement, program, settings, batch, slots }: Circuit, srsHash: Hex): Uint8Array {
  const { features } = program.input;
  const common = { batch, features, scale: program.scales.input };
  if (statement === "inference" && settings.input === "public") return hashOf("skynet/1/input", common);
  const label = slots.get("label")?.offset ?? null;
  const input = slots.get("input")!.offset;
  const layout = { srsHash, blockBits: settings.blockBits, input, label, classes: program.loss.classes };
  return hashOf("skynet/1/batch", { ...common, ...layout });
}

function outputTagOf({ program, settings, batch }: Circuit, srsHash: Hex): Uint8Array {
  const common = { batch, classes: program.loss.classes, scale: program.loss.logitScale };
  if (settings.output === "public") return hashOf("skynet/1/logits", common);
  return hashOf("skynet/1/output", { ...common, srsHash, blockBits: settings.blockBits });
}

/** Completes a key from the reference string's hash and point, and the commitments of the exponentials. */
export function makeKey(
  circuit: Circuit,
  { srsHash, tau2, exponentials }: Pick<ProofKey, "srsHash" | "tau2" | "exponentials">,
): ProofKey {
  const circuitHash = circuitHashOf(circuit);
  const coordinates = [tau2.x.c0, tau2.x.c1, tau2.y.c0, tau2.y.c1].map(word);
  return {
    circuit,
    circuitHash,
    srsHash,
    tau2,
    exponentials,
    weightsTag: weightsTagOf(circuit, srsHash),
    dataTag: dataTagOf(circuit, srsHash),
    outputTag: outputTagOf(circuit, srsHash),
    transcriptKey: keccak256(
      keccak256(text.encode(VERSION)),
      word(BigInt(circuitHash)),
      word(BigInt(srsHash)),
      ...exponentials.map(encodePoint),
      ...coordinates,
    ),
  };
}
