import { concatBytes, type Hex, keccak256, toHex, word } from "@skynet/protocol";
import type { Circuit, TensorName } from "../circuit/circuit.ts";
import { decodePoint, encodePoint, type Point as CurvePoint } from "../field/curve.ts";
import { ProofError } from "../errors.ts";
import { mod, P } from "../field/fr.ts";
import type { ProofKey } from "./key.ts";
import { Rejection } from "./rejection.ts";
import { unword } from "./transcript.ts";

/** What a proof is about, as the contract hands it to the verifier. Ids are 32 bytes. */
export interface StatementHeader {
  readonly chainId: number;
  /** Address of the verifier contract. */
  readonly verifier: Hex;
  /** Binds everything else: contract, job, worker, round, step, batch index. */
  readonly context: Hex;
  /** id(W); id(W') or the output's id; id of the batch or of the input. */
  readonly idIn: Hex;
  readonly idOut: Hex;
  readonly idData: Hex;
}

/** The header with what its ids stand for. */
export interface Statement extends StatementHeader {
  readonly points: ReadonlyMap<TensorName, readonly CurvePoint[]>;
  /** Inference with public values: inputs [batch, features] and logits [batch, classes]. */
  readonly publicInput?: Int8Array;
  readonly publicOutput?: Int32Array;
}

/** The absorbed public block. The ids bind the points. */
export function statementWords({ chainId, verifier, context, idIn, idOut, idData }: StatementHeader): bigint[] {
  return [BigInt(chainId), BigInt(verifier), BigInt(context), BigInt(idIn), BigInt(idOut), BigInt(idData)];
}

/** id of committed tensors: keccak256(tag ‖ x ‖ y ‖ ...), coordinates as 32 big-endian bytes. */
export function pointsId(tag: Uint8Array, points: readonly CurvePoint[]): Hex {
  return toHex(keccak256(tag, ...points.map(encodePoint)));
}

/** id of an inference's input: of its commitments, or of the bytes [batch, features] themselves. */
export function inputId(
  { circuit, dataTag }: ProofKey,
  points: ReadonlyMap<TensorName, readonly CurvePoint[]>,
  input: Int8Array,
): Hex {
  if (circuit.settings.input === "committed") return pointsId(dataTag, points.get("batch")!);
  return toHex(keccak256(dataTag, new Uint8Array(input.buffer, input.byteOffset, input.length)));
}

/** id of an inference's output: of its commitments, or of the logits as field elements. */
export function outputId(
  { circuit, outputTag }: ProofKey,
  points: ReadonlyMap<TensorName, readonly CurvePoint[]>,
  logits: Int32Array,
): Hex {
  if (circuit.settings.output === "committed") return pointsId(outputTag, points.get("output")!);
  return toHex(keccak256(outputTag, encodeLogits(logits)));
}

/** Public logits as the proof and the contract hold them: one field element of 32 bytes each. */
export const encodeLogits = (logits: Int32Array): Uint8Array<ArrayBuffer> =>
  concatBytes(...[...logits].map((value) => word(mod(BigInt(value)))));

/** Tensors of the statement that are in the proof as points, in their order. */
export function statementTensors({ tensors }: Circuit): TensorName[] {
  return tensors.filter(({ source }) => source === "statement").map(({ name }) => name);
}

const padded = (bytes: number): number => Math.ceil(bytes / 32) * 32;

/** Bytes of the public part at the front of a proof. */
export function publicBytes(circuit: Circuit): number {
  const points = circuit.tensors
    .filter(({ source }) => source === "statement")
    .reduce((total, { blocks }) => total + 64 * blocks, 0);
  return points + inputBytes(circuit) + outputBytes(circuit);
}

export function inputBytes({ statement, settings, batch, layers }: Circuit): number {
  return statement === "inference" && settings.input === "public" ? padded(batch * layers[0]!.inputs) : 0;
}

export function outputBytes({ statement, settings, batch, layers }: Circuit): number {
  return statement === "inference" && settings.output === "public" ? 32 * batch * layers.at(-1)!.outputs : 0;
}

/** Public part of a proof: points of the statement's tensors, then packed inputs, then logits as field elements. */
export function encodePublicPart(
  circuit: Circuit,
  statement: Pick<Statement, "points" | "publicInput" | "publicOutput">,
): Uint8Array {
  const points = statementTensors(circuit).flatMap((name) => statement.points.get(name)!.map(encodePoint));
  const input = new Uint8Array(inputBytes(circuit));
  if (input.length > 0) input.set(new Uint8Array(Int8Array.from(statement.publicInput!).buffer));
  const output = outputBytes(circuit) > 0 ? encodeLogits(statement.publicOutput!) : new Uint8Array();
  return concatBytes(...points, input, output);
}

/**
 * Reads the public part and checks it against the ids.
 * @throws Rejection `length`, `precompile`, `scalar range`, `input id`, `weights id`, ...
 */
export function decodePublicPart(
  key: ProofKey,
  header: StatementHeader,
  proof: Uint8Array,
  omitted: ReadonlySet<string> = new Set(),
): Statement {
  const { circuit } = key;
  if (proof.length < publicBytes(circuit)) throw new Rejection("length");
  const points = new Map<TensorName, CurvePoint[]>();
  let at = 0;
  for (const { name, source, blocks } of circuit.tensors) {
    if (source !== "statement") continue;
    points.set(name, readPoints(proof, at, blocks, omitted));
    at += 64 * blocks;
  }
  const input = proof.subarray(at, at + inputBytes(circuit));
  const output = proof.subarray(at + input.length, at + input.length + outputBytes(circuit));
  const expect = (name: string, actual: Hex, expected: Hex) => {
    if (actual !== expected.toLowerCase() && !omitted.has(name)) throw new Rejection(name);
  };
  expect("weights id", pointsId(key.weightsTag, points.get("weights")!), header.idIn);
  if (circuit.statement === "step") {
    expect("next id", pointsId(key.weightsTag, points.get("next")!), header.idOut);
    expect("batch id", pointsId(key.dataTag, points.get("batch")!), header.idData);
    return { ...header, points };
  }
  const count = circuit.batch * circuit.layers[0]!.inputs;
  if (input.length > 0) {
    if (input.subarray(count).some((byte) => byte !== 0) && !omitted.has("input padding"))
      throw new Rejection("input padding");
    expect("batch id", toHex(keccak256(key.dataTag, input.subarray(0, count))), header.idData);
  } else expect("batch id", pointsId(key.dataTag, points.get("batch")!), header.idData);
  if (output.length > 0) expect("output id", toHex(keccak256(key.outputTag, output)), header.idOut);
  else expect("output id", pointsId(key.outputTag, points.get("output")!), header.idOut);
  return {
    ...header,
    points,
    ...(input.length > 0 ? { publicInput: new Int8Array(input.slice(0, count).buffer) } : {}),
    ...(output.length > 0 ? { publicOutput: decodeLogits(output) } : {}),
  };
}

function readPoints(proof: Uint8Array, from: number, count: number, omitted: ReadonlySet<string>): CurvePoint[] {
  return Array.from({ length: count }, (_, i) =>
    readPoint(proof.subarray(from + 64 * i, from + 64 * (i + 1)), omitted),
  );
}

/** @throws Rejection `precompile`: on chain the curve operations refuse the same points */
export function readPoint(bytes: Uint8Array, omitted: ReadonlySet<string> = new Set()): CurvePoint {
  if (omitted.has("precompile")) return { x: unword(bytes.subarray(0, 32)), y: unword(bytes.subarray(32)) };
  try {
    return decodePoint(bytes);
  } catch (error) {
    if (error instanceof ProofError) throw new Rejection("precompile");
    throw error;
  }
}

/** @throws Rejection `scalar range` for a field element that is no 32-bit integer, `length` for a part of one */
export function decodeLogits(bytes: Uint8Array): Int32Array {
  if (bytes.length % 32 !== 0) throw new Rejection("length");
  return Int32Array.from({ length: bytes.length / 32 }, (_, i) => {
    const value = unword(bytes.subarray(32 * i, 32 * (i + 1)));
    if (value >= P) throw new Rejection("scalar range");
    const signed = value > P / 2n ? value - P : value;
    if (signed >= 1n << 31n || signed < -(1n << 31n)) throw new Rejection("scalar range");
    return Number(signed);
  });
}
