// Proofs of something else than what they are handed in for.
import { concatBytes, type Hex, keccak256, toHex } from "@skynet/protocol";
import { readWord, writeWord } from "../field/curve.ts";
import { P } from "../field/fr.ts";
import { inputId, outputId, outputBytes, pointsId, publicBytes, type StatementHeader } from "../script/statement.ts";
import { type Attack, attack, edited, EVERYTHING, type SubjectName } from "./attack.ts";
import { add } from "./cells.ts";
import { commitTensor, HEADER, type Subject } from "./subject.ts";

const other: Hex = `0x${"ab".repeat(32)}`;

/** A header that says something else than the proof. */
const replayed = (name: string, check: string, change: Partial<StatementHeader>): Attack => ({
  ...edited(name, check, [], ({ header }) => ({ header: { ...header, ...change } })),
  falsifies: [EVERYTHING],
});

/** The prover proves under an id that is not that of the points. */
const wrongId = (name: string, check: string, change: Partial<StatementHeader>, on: SubjectName = "step"): Attack =>
  attack(name, check, [check], { statement: () => change }, { on, falsifies: [] });

/** The statement names commitments of other values than the witness has. */
const otherTensor = (name: string, tensor: "weights" | "next" | "batch"): Attack =>
  attack(
    name,
    "pairing",
    ["pairing"],
    ({ circuit, key, hidden }: Subject) => ({
      statement: ({ points }) => {
        const cells = Array.from({ length: 40 }, (_, i) => BigInt(i * i));
        points.set(tensor, commitTensor(circuit, tensor, cells, hidden.blinders.get(tensor)));
        const tag = tensor === "batch" ? key.dataTag : key.weightsTag;
        const id = pointsId(tag, points.get(tensor)!);
        return { [{ weights: "idIn", next: "idOut", batch: "idData" }[tensor]]: id };
      },
    }),
    { falsifies: [] },
  );

/** A proof made for another chain or contract, and judged on this one: what a call cannot change. */
const elsewhere = (name: string, change: Partial<StatementHeader>): Attack => ({
  ...replayed(name, "contractions", {}),
  forge: async (subject, omitted) => {
    const forgery = await subject.prove({ omitted, statement: () => change });
    return { ...forgery, header: { ...forgery.header, chainId: HEADER.chainId, verifier: HEADER.verifier } };
  },
});

const bindings: Attack[] = [
  elsewhere("a proof for another chain", { chainId: 1 }),
  elsewhere("a proof for another verifier", { verifier: `0x${"cd".repeat(20)}` }),
  replayed("a proof for another context: job, worker, round, step or batch index", "contractions", { context: other }),
];

const ids: Attack[] = [
  replayed("the id of other weights", "weights id", { idIn: other }),
  replayed("the id of other next weights", "next id", { idOut: other }),
  replayed("the id of another batch", "batch id", { idData: other }),
  wrongId("an id of the weights that their points do not have", "weights id", { idIn: other }),
  wrongId("an id of the next weights that their points do not have", "next id", { idOut: other }),
  wrongId("an id of the batch that its points do not have", "batch id", { idData: other }),
  wrongId("an id of the input that it does not have", "batch id", { idData: other }, "inference"),
  wrongId("an id of the output that it does not have", "output id", { idOut: other }, "inference"),
  wrongId("an id of the committed output that it does not have", "output id", { idOut: other }, "committed inference"),
  {
    ...edited("the ids before and after are swapped", "weights id", [], ({ header }) => ({
      header: { ...header, idIn: header.idOut, idOut: header.idIn },
    })),
    falsifies: [EVERYTHING],
  },
  otherTensor("stale weights: computed with others than committed", "weights"),
  otherTensor("other next weights than computed", "next"),
  otherTensor("another batch than computed with", "batch"),
  attack(
    "swapped blocks of the weights, under their own id",
    "pairing",
    ["pairing"],
    ({ key }: Subject) => ({
      statement: ({ points }) => {
        const [first, second] = points.get("weights")!;
        points.set("weights", [second!, first!]);
        return { idIn: pointsId(key.weightsTag, [second!, first!]) };
      },
    }),
    { on: "inference", falsifies: [] },
  ),
];

const inference: Attack[] = [
  attack(
    "another public input than computed with",
    "contractions",
    ["contractions"],
    ({ key, publicInput }: Subject) => ({
      statement: ({ points }) => {
        const changed = publicInput.with(0, publicInput[0]! ^ 1);
        return { publicInput: changed, idData: inputId(key, points, changed) };
      },
    }),
    { on: "inference", falsifies: ["check: contractions"] },
  ),
  attack(
    "other logits than computed",
    "opening fold",
    ["output"],
    ({ key }: Subject) => ({
      statement: ({ points, publicOutput }) => {
        const changed = publicOutput!.with(0, publicOutput![0]! + 1);
        return { publicOutput: changed, idOut: outputId(key, points, changed) };
      },
    }),
    { on: "inference" },
  ),
  attack(
    "other committed logits than computed",
    "opening fold",
    ["output"],
    { alter: (name, values) => void (name === "output" && add(0, 1n)(values)) },
    { on: "committed inference" },
  ),
  attack(
    "a committed input beyond eight bits",
    "opening fold",
    ["sum of helpers"],
    { inputs: ({ batch }) => void (batch[0] = 128n) },
    { on: "committed input" },
  ),
  attack(
    "a committed input beyond eight bits, its multiple cut to fit",
    "opening fold",
    ["x.scaled = input"],
    {
      inputs: ({ batch }) => void (batch[0] = 128n),
      alter: (name, values) => void (name === "x.scaled.1" && (values[0] = 127n)),
    },
    { on: "committed input" },
  ),
  attack(
    "another number ranged than the committed input",
    "opening fold",
    ["x.value = input"],
    { alter: (name, values) => void (name === "x.value.0" && (values[0] = values[0] === 0n ? 1n : 0n)) },
    { on: "committed input" },
  ),
  attack(
    "something behind the committed inputs",
    "opening fold",
    ["no input in padding"],
    ({ circuit }) => {
      const { batchVars, layers } = circuit;
      return { inputs: ({ batch }) => void (batch[layers[0]!.inputs * 2 ** batchVars] = 3n) };
    },
    { on: "committed input" },
  ),
  attack(
    "something behind the committed logits",
    "opening fold",
    ["output"],
    { alter: (name, values) => void (name === "output" && values.push(7n)) },
    { on: "committed inference" },
  ),
];

const lengths: Attack[] = [
  edited("one word more", "length", ["length"], ({ proof }) => ({ proof: concatBytes(proof, new Uint8Array(32)) })),
  edited("one byte more", "length", ["length"], ({ proof }) => ({ proof: concatBytes(proof, new Uint8Array(1)) })),
  edited("one word less", "length", [], ({ proof }) => ({ proof: proof.slice(0, -32) })),
  edited("one byte less", "length", [], ({ proof }) => ({ proof: proof.slice(0, -1) })),
  edited("no proof at all", "length", [], () => ({ proof: new Uint8Array() })),
  edited(
    "something behind the public input",
    "input padding",
    ["input padding"],
    ({ proof }, { circuit }) => {
      const changed = proof.slice();
      changed[publicBytes(circuit) - outputBytes(circuit) - 1] = 1;
      return { proof: changed };
    },
    "inference",
  ),
  {
    ...edited("a logit plus the modulus, under its own id", "scalar range", [], () => ({})),
    on: "inference",
    forge: async (subject, omitted) => {
      const { circuit, key } = subject;
      const widened = (proof: Uint8Array): Uint8Array => {
        const copy = proof.slice();
        const at = publicBytes(circuit) - outputBytes(circuit);
        writeWord(copy, at, readWord(copy, at) + P);
        return copy;
      };
      const output = (proof: Uint8Array) =>
        proof.subarray(publicBytes(circuit) - outputBytes(circuit), publicBytes(circuit));
      const { proof } = await subject.prove({ omitted });
      const idOut = toHex(keccak256(key.outputTag, output(widened(proof))));
      const forgery = await subject.prove({ omitted, statement: () => ({ idOut }) });
      return { ...forgery, proof: widened(forgery.proof) };
    },
  },
];

export const statementAttacks: readonly Attack[] = [...bindings, ...ids, ...inference, ...lengths];
