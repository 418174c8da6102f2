import fs from "node:fs";
import path from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ModelProto,
  ModelProtoSchema,
  SparseTensorProtoSchema,
  TensorProtoSchema,
  TypeProto_SequenceSchema,
} from "onnx-buf";
import { describe, expect, it } from "vitest";
import { buildMlp } from "../../../examples/fashion-mnist/build-model.ts";
import { ModelBuilder } from "./build.ts";
import { OnnxError } from "./errors.ts";
import { fuzzers } from "./fuzz.ts";
import { parseModel } from "./parse.ts";

const mlpFile = path.join(import.meta.dirname, "../../../examples/fashion-mnist/mlp.onnx");

/** A model 3-2 whose parts a test may damage before it is encoded again. */
function damaged(change: (model: ModelProto) => void): Uint8Array {
  const builder = new ModelBuilder({ name: "small" });
  const x = builder.input("x", "float32", ["batch", 3]);
  const w = builder.constant("w", "float32", [3, 2], new Float32Array(6));
  const b = builder.constant("b", "float32", [2], new Float32Array(2));
  const hidden = builder.node("Gemm", [x, w, b]);
  builder.output(builder.node("Relu", [hidden]), "y", "float32", ["batch", 2]);
  const model = fromBinary(ModelProtoSchema, builder.encode());
  change(model);
  return toBinary(ModelProtoSchema, model);
}

function errorOf(bytes: Uint8Array): OnnxError {
  try {
    parseModel(bytes);
  } catch (error) {
    if (error instanceof OnnxError) return error;
    throw error;
  }
  throw new Error("the model was accepted");
}

describe("the example model", () => {
  it("is what its script writes", () => {
    expect(Buffer.compare(fs.readFileSync(mlpFile), buildMlp())).toBe(0);
  });

  it("has the expected graph", () => {
    const graph = parseModel(fs.readFileSync(mlpFile));
    expect(graph.nodes.map(({ operator }) => operator)).toEqual(["Gemm", "Relu", "Gemm"]);
    expect(graph.inputs[0]).toEqual({ name: "image", type: "float32", shape: ["batch", 784] });
    expect(graph.outputs[0]).toEqual({ name: "logits", type: "float32", shape: ["batch", 10] });
    expect(graph.metadata.get("skynet.input.offset")).toBe("73");
    expect(graph.initializers.get("output.weight")!.shape).toEqual([128, 10]);
  });
});

describe("reading", () => {
  it("puts nodes into the order of execution", () => {
    const graph = parseModel(damaged((model) => model.graph!.node.reverse()));
    expect(graph.nodes.map(({ operator }) => operator)).toEqual(["Gemm", "Relu"]);
  });

  it("reads element values from raw and from typed fields alike", () => {
    const raw = parseModel(
      damaged((model) => (model.graph!.initializer[1]!.rawData = new Uint8Array(Float32Array.of(1.5, -2).buffer))),
    );
    const typed = parseModel(
      damaged((model) =>
        Object.assign(model.graph!.initializer[1]!, { rawData: new Uint8Array(0), floatData: [1.5, -2] }),
      ),
    );
    expect(raw.initializers.get("b")!.data).toEqual(Float32Array.of(1.5, -2));
    expect(typed.initializers.get("b")!.data).toEqual(Float32Array.of(1.5, -2));
  });

  it.each([
    { from: ["batch", 2, 3], to: [0n, -1n], expected: ["batch", 6] },
    { from: ["batch", 2, 3], to: [-1n, 6n], expected: ["batch", 6] },
    { from: [4, 2, 3], to: [8n, -1n], expected: [8, 3] },
    { from: ["batch", 4], to: [0n, 2n, 2n], expected: ["batch", 2, 2] },
  ])("infers Reshape of $from", ({ from, to, expected }) => {
    const model = new ModelBuilder({ name: "reshape" });
    const shape = model.constant("shape", "int64", [to.length], BigInt64Array.from(to));
    const y = model.node("Reshape", [model.input("x", "float32", from), shape]);
    model.output(y, "y", "float32", expected);
    expect(parseModel(model.encode()).outputs[0]!.shape).toEqual(expected);
  });

  it("infers Flatten, MatMul, Add and Softmax", () => {
    const model = new ModelBuilder({ name: "chain" });
    const flat = model.node("Flatten", [model.input("x", "float32", ["n", 2, 2])]);
    const w = model.constant("w", "float32", [4, 3], new Float32Array(12));
    const product = model.node("MatMul", [flat, w]);
    const sum = model.node("Add", [product, model.constant("b", "float32", [3], new Float32Array(3))]);
    model.output(model.node("Softmax", [sum]), "y", "float32", ["n", 3]);
    const graph = parseModel(model.encode());
    expect([flat, product, sum, "y"].map((name) => graph.values.get(name)!.shape)).toEqual([
      ["n", 4],
      ["n", 3],
      ["n", 3],
      ["n", 3],
    ]);
  });
});

describe("broken models", () => {
  const cases: [string, (model: ModelProto) => void, RegExp][] = [
    ["no graph", (model) => delete model.graph, /no graph/],
    ["no nodes", (model) => (model.graph!.node = []), /no nodes/],
    ["a dangling edge", (model) => (model.graph!.node[1]!.input = ["nowhere"]), /reads "nowhere"/],
    ["a cycle", (model) => (model.graph!.node[0]!.input[0] = "y"), /cycle/],
    ["two values of one name", (model) => (model.graph!.node[1]!.output = ["gemm_1"]), /produced twice/],
    ["two nodes of one name", (model) => (model.graph!.node[1]!.name = "gemm_1"), /two nodes/],
    ["two initializers of one name", (model) => (model.graph!.initializer[1]!.name = "w"), /two initializers/],
    ["missing data", (model) => (model.graph!.initializer[0]!.rawData = new Uint8Array(23)), /23 bytes/],
    ["a negative dimension", (model) => (model.graph!.initializer[0]!.dims = [-3n, 2n]), /negative/],
    ["shapes that do not multiply", (model) => (model.graph!.initializer[0]!.dims = [2n, 3n]), /multiplies/],
    ["a missing output", (model) => (model.graph!.output[0]!.name = "z"), /nothing produces the output/],
    ["no operator set", (model) => (model.opsetImport = []), /operator set/],
  ];
  it.each(cases)("with %s", (_, change, message) => {
    const error = errorOf(damaged(change));
    expect(error.code).toBe("BrokenOnnx");
    expect(error.message).toMatch(message);
    expect(error.hint).toBeDefined();
  });

  it("that are empty, truncated or something else", () => {
    const whole = damaged(() => {});
    for (const bytes of [new Uint8Array(), whole.subarray(0, whole.length - 9), new TextEncoder().encode("<html>")])
      expect(errorOf(bytes).code).toBe("BrokenOnnx");
  });
});

describe("refused models", () => {
  it("names every unsupported operator and what to use", () => {
    const error = errorOf(
      damaged((model) => {
        Object.assign(model.graph!.node[0]!, { opType: "Conv", name: "c" });
        Object.assign(model.graph!.node[1]!, { domain: "com.example", name: "r" });
      }),
    );
    expect(error.code).toBe("UnsupportedOperator");
    expect(error.message).toContain('Conv (node "c")');
    expect(error.message).toContain('com.example.Relu (node "r")');
    expect(error.hint).toContain("Gemm, MatMul, Relu");
  });

  it("with data in another file", () => {
    const error = errorOf(damaged((model) => (model.graph!.initializer[0]!.dataLocation = 1)));
    expect(error.message).toMatch(/another file/);
  });

  it("with other element types", () => {
    const half = errorOf(damaged((model) => (model.graph!.initializer[0]!.dataType = 10)));
    expect(half.code).toBe("UnsupportedType");
    expect(half.message).toContain("float16");
    const sequence = errorOf(
      damaged(
        (model) =>
          (model.graph!.input[0]!.type!.value = { case: "sequenceType", value: create(TypeProto_SequenceSchema) }),
      ),
    );
    expect(sequence.code).toBe("UnsupportedType");
  });

  it("with sparse weights", () => {
    const sparse = create(SparseTensorProtoSchema, { values: create(TensorProtoSchema) });
    expect(errorOf(damaged((model) => model.graph!.sparseInitializer.push(sparse))).code).toBe("UnsupportedType");
  });

  it("that are too large or too old", () => {
    const dims = [1n << 20n, 1n << 20n];
    expect(errorOf(damaged((model) => (model.graph!.initializer[0]!.dims = dims))).code).toBe("OnnxTooLarge");
    expect(() => parseModel(buildMlp(), { maxBytes: 1000 })).toThrow(/limit is 1000/);
    expect(errorOf(damaged((model) => (model.opsetImport[0]!.version = 3n))).code).toBe("UnsupportedOperator");
  });
});

it("survives damaged bytes with typed errors only", async () => {
  const report = await fuzzers["onnx-parse"]({ count: 3000, seed: 1 });
  expect(report["BrokenOnnx"]).toBeGreaterThan(500);
});
