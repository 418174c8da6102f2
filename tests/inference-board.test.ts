// A real model, a real proof and its generated verifier on a real chain: what the InferenceBoard pays for.
import {
  compileVerifier,
  createDevelopmentString,
  createExecutor,
  createProofSystem,
  deriveBlinders,
  encodeLogits,
  generateVerifier,
  type InferenceProof,
  inferenceCircuit,
  inputId,
  noBlinders,
  type ProofSystem,
  quantiseBytes,
  readInferenceModel,
} from "@skynet/proof";
import { answerContext, keccak256, toHex, type Hex, VerifierKind } from "@skynet/protocol";
import { ModelBuilder } from "@skynet/onnx";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Chain, OfferTerms } from "@skynet/contracts";
import { startTestChain, type TestChain } from "../packages/contracts/src/test-chain.ts";

const FEATURES = 6;

/** An untrained perceptron of 6 bytes. */
function tinyModel(): Uint8Array {
  const model = new ModelBuilder({
    name: "tiny",
    metadata: { "skynet.input.offset": "128", "skynet.input.divisor": "256" },
  });
  const x = model.input("x", "float32", ["batch", FEATURES]);
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898));
  const w1 = model.constant("w1", "float32", [FEATURES, 5], values(30));
  const hidden = model.node("Relu", [model.node("Gemm", [x, w1, model.constant("b1", "float32", [5], values(5))])]);
  const w2 = model.constant("w2", "float32", [5, 3], values(15));
  const last = [hidden, w2, model.constant("b2", "float32", [3], values(3))];
  model.output(model.node("Gemm", last), "z", "float32", ["batch", 3]);
  return model.encode();
}

const { program, weights } = readInferenceModel(tinyModel());
const circuit = inferenceCircuit(program, 1, { input: "public", output: "public", tableBits: 9, blockBits: 9 });
const x = quantiseBytes(program, Uint8Array.from([10, 20, 30, 140, 250, 60]));

let chain: TestChain;
let host: Chain;
let requester: Chain;
let system: ProofSystem;
let terms: OfferTerms;
let verifier: Hex;
let xId: Hex;

/** The model's weights, changed by `change` in one place, proven for an order. */
async function prove(orderId: Hex, { change = 0, input = x, byHost = host.address } = {}): Promise<InferenceProof> {
  const own = weights.map((tensor, i) => tensor.map((value, j) => (i === 0 && j === 0 ? value + change : value)));
  const executor = await createExecutor(program);
  executor.load(own);
  const trace = executor.trace(input, 1);
  const commitment = await commit(own);
  const witness = { weights: own, commitment, x: input, trace };
  // the logits are part of what the proof is made for, so that they are computed first
  const probe = await system.proveInference({ chainId: host.chainId, verifier, context: orderId }, witness);
  const z = encodeLogits(probe.logits);
  const { verifierId, modelId } = terms;
  const place = { chainId: host.chainId, inferenceBoard: host.addresses.inferenceBoard, orderId };
  const context = answerContext({ ...place, verifierId, modelId, xId, z, host: byHost });
  return system.proveInference({ chainId: host.chainId, verifier, context }, witness);
}

function commit(own: readonly Int32Array[]) {
  const blocks = system.blocks.weights;
  const secret = keccak256(new TextEncoder().encode("a model of the tests"));
  return system.commitWeights(
    own,
    circuit.settings.hiding ? deriveBlinders(secret, ["weights"], blocks) : noBlinders(blocks),
  );
}

beforeAll(async () => {
  chain = await startTestChain(2);
  [host, requester] = chain.parties as [Chain, Chain];
  await requester.mint(1_000n);
  await requester.deposit(requester.addresses.testToken, 1_000n);
  const string = await createDevelopmentString({ blockBits: 9 });
  system = await createProofSystem(circuit, string);
  const { key } = system;
  const { initcode } = await compileVerifier((await generateVerifier(key)).source);
  const { verifierId, at } = await host.deployVerifier(
    {
      kind: VerifierKind.INFER,
      circuitHash: key.circuitHash,
      srsHash: key.srsHash,
      weightsTag: toHex(key.weightsTag),
      weightBlocks: system.blocks.weights,
    },
    initcode,
  );
  verifier = at;
  const modelId = system.weightsId((await commit(weights)).points);
  const token = host.addresses.testToken;
  terms = { modelId, verifierId, outputTag: toHex(key.outputTag), token, price: 40n, maxLatency: 600, meta: "0x" };
  xId = inputId(key, new Map(), x);
});
afterAll(async () => {
  await system?.close();
  await chain?.stop();
});

async function order(by = host): Promise<Hex> {
  const { offerId } = await by.inference.offer(terms);
  return (await requester.inference.request(offerId, 40n, { xId, xRef: new Uint8Array() })).orderId;
}

const refused = { code: "AnswerRejected" };

describe("an answer with a proof of the generated verifier", () => {
  it("pays the host, and only with its own logits", async () => {
    const orderId = await order();
    const { proof, logits, statement } = await prove(orderId);
    const z = encodeLogits(logits);
    expect(await host.inference.statement(orderId, z)).toMatchObject({
      context: statement.context,
      idOut: statement.idOut,
    });
    const wrong = Int32Array.from(logits);
    wrong[0]! += 1;
    const answer = (logitBytes: Uint8Array) => requester.inference.answer(orderId, logitBytes, toHex(proof));
    await expect(answer(encodeLogits(wrong))).rejects.toMatchObject(refused);
    await expect(answer(z.slice(32))).rejects.toMatchObject(refused);
    await expect(answer(new Uint8Array([...z, ...new Uint8Array(32)]))).rejects.toMatchObject(refused);
    const flipped = proof.slice();
    flipped[flipped.length - 1]! ^= 1;
    await expect(host.inference.answer(orderId, z, toHex(flipped))).rejects.toMatchObject(refused);
    const { gasUsed } = await answer(z);
    expect(gasUsed).toBeLessThan(2_000_000n);
    expect((await host.balances(terms.token)).ledger).toBe(40n);
    // and not again, for the next order
    const next = await order();
    await expect(host.inference.answer(next, z, toHex(proof))).rejects.toMatchObject(refused);
  });

  it("is refused from another model, for another input, and of another host", async () => {
    const orderId = await order();
    const answer = async ({ proof, logits }: InferenceProof) =>
      host.inference.answer(orderId, encodeLogits(logits), toHex(proof));
    await expect(answer(await prove(orderId, { change: 1 }))).rejects.toMatchObject(refused);
    const input = quantiseBytes(program, Uint8Array.from([10, 20, 30, 140, 250, 200]));
    await expect(answer(await prove(orderId, { input }))).rejects.toMatchObject(refused);
    await expect(answer(await prove(orderId, { byHost: requester.address }))).rejects.toMatchObject(refused);
    await answer(await prove(orderId));
  });
});
