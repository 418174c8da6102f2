import { fromBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from "onnx-buf";
import { alternatives } from "./alternatives.ts";
import { broken, OnnxError } from "./errors.ts";
import type { AttributeValue, Dimension, Graph, Node, Tensor, Value } from "./graph.ts";
import { inferShapes, supportedOperators } from "./shapes.ts";
import { sortNodes } from "./sort.ts";
import { dataTypeOf, dimensionOf, readTensor } from "./tensors.ts";

/** Largest file that `parseModel` reads unless told otherwise: 64 MiB. */
export const MAX_MODEL_BYTES = 64 * 2 ** 20;
const MAX_NODES = 10_000;
const OLDEST_OPSET = 7;

/**
 * Reads and checks an ONNX model: one file, default operator set, operators `supportedOperators`, static shapes except
 * for the batch.
 * @throws OnnxError and nothing else, whatever the bytes are.
 * @example const graph = parseModel(await readFile("mlp.onnx"));
 */
export function parseModel(bytes: Uint8Array, options: { maxBytes?: number } = {}): Graph {
  const maxBytes = options.maxBytes ?? MAX_MODEL_BYTES;
  if (bytes.length > maxBytes)
    throw new OnnxError("OnnxTooLarge", `the model has ${bytes.length} bytes; the limit is ${maxBytes}`);
  const model = decode(bytes);
  const proto = model.graph;
  if (proto === undefined) throw broken("the file holds no graph");
  if (proto.node.length === 0) throw broken("the graph has no nodes");
  if (proto.node.length > MAX_NODES)
    throw new OnnxError("OnnxTooLarge", `the graph has ${proto.node.length} nodes; the limit is ${MAX_NODES}`);
  refuseUnsupported(proto);
  const opset = readOpset(model);
  const initializers = readInitializers(proto);
  const inputs = proto.input.filter((info) => !initializers.has(info.name)).map(readValue);
  const nodes = sortNodes(proto.node.map(readNode), [...inputs.map((input) => input.name), ...initializers.keys()]);
  const { values, outputs } = inferShapes(inputs, initializers, nodes, proto.output.map(readValue));
  const metadata = new Map(model.metadataProps.map(({ key, value }) => [key, value]));
  return { name: proto.name, opset, inputs, outputs, nodes, initializers, values, metadata };
}

function decode(bytes: Uint8Array): ModelProto {
  if (bytes.length === 0) throw broken("the file is empty");
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw broken("the file is not ONNX: it is truncated, damaged or of another format", cause);
  }
}

/**
 * Constants and metadata of a model whatever its operators are: how weights are read back from models that
 * SkyNet exported.
 * @throws OnnxError
 */
export function readConstants(
  bytes: Uint8Array,
  options: { maxBytes?: number } = {},
): { initializers: ReadonlyMap<string, Tensor>; metadata: ReadonlyMap<string, string> } {
  const maxBytes = options.maxBytes ?? MAX_MODEL_BYTES;
  if (bytes.length > maxBytes)
    throw new OnnxError("OnnxTooLarge", `the model has ${bytes.length} bytes; the limit is ${maxBytes}`);
  const model = decode(bytes);
  if (model.graph === undefined) throw broken("the file holds no graph");
  const metadata = new Map(model.metadataProps.map(({ key, value }) => [key, value]));
  return { initializers: readInitializers(model.graph), metadata };
}

function refuseUnsupported(proto: GraphProto): void {
  const bad = proto.node.filter((node) => !isSupported(node));
  if (bad.length > 0) {
    const shown = bad.slice(0, 20).map((node) => {
      const name = node.name || node.output[0] || "without a name";
      return `${node.domain ? `${node.domain}.` : ""}${node.opType || "(no operator)"} (node "${name}")`;
    });
    const more = bad.length > shown.length ? ` and ${bad.length - shown.length} more` : "";
    throw new OnnxError("UnsupportedOperator", `unsupported operators: ${shown.join(", ")}${more}`, {
      hint: `Supported: ${supportedOperators.join(", ")}. ${alternatives(bad.map(({ opType }) => opType))}`,
    });
  }
  if (proto.sparseInitializer.length > 0)
    throw new OnnxError("UnsupportedType", "the graph has sparse initializers", {
      hint: "Store them as dense tensors.",
    });
}

const isSupported = (node: NodeProto): boolean =>
  (node.domain === "" || node.domain === "ai.onnx") && supportedOperators.includes(node.opType);

function readOpset(model: ModelProto): number {
  const own = model.opsetImport.filter(({ domain }) => domain === "" || domain === "ai.onnx");
  if (own.length !== 1) throw broken("the model does not import exactly one version of the default operator set");
  const version = Number(own[0]!.version);
  if (version < OLDEST_OPSET)
    throw new OnnxError("UnsupportedOperator", `operator set ${version} is too old`, {
      hint: `Export the model with operator set ${OLDEST_OPSET} or newer.`,
    });
  return version;
}

function readInitializers(proto: GraphProto): Map<string, Tensor> {
  const initializers = new Map<string, Tensor>();
  for (const entry of proto.initializer) {
    if (entry.name === "") throw broken("an initializer has no name");
    if (initializers.has(entry.name)) throw broken(`two initializers are called "${entry.name}"`);
    initializers.set(entry.name, readTensor(entry));
  }
  return initializers;
}

function readValue(info: ValueInfoProto): Value {
  const where = `"${info.name}"`;
  if (info.name === "") throw broken("an input or output of the graph has no name");
  const type = info.type?.value;
  if (type?.case === undefined) throw broken(`${where} has no type`);
  if (type.case !== "tensorType")
    throw new OnnxError("UnsupportedType", `${where} is not a tensor`, { hint: "Use tensors as inputs and outputs." });
  if (type.value.shape === undefined) throw broken(`${where} has no shape`);
  const shape = type.value.shape.dim.map(({ value }, axis): Dimension => {
    if (value.case === "dimValue") return dimensionOf(value.value, where);
    return value.case === "dimParam" && value.value !== "" ? value.value : `${info.name}:${axis}`;
  });
  return { name: info.name, type: dataTypeOf(type.value.elemType, where), shape };
}

function readNode(proto: NodeProto): Node {
  const name = proto.name || proto.output[0] || "";
  if (proto.output.length !== 1 || proto.output[0] === "")
    throw broken(`node "${name}" (${proto.opType}) must have exactly one output`);
  const attributes = new Map<string, AttributeValue>();
  for (const attribute of proto.attribute) {
    if (attributes.has(attribute.name)) throw broken(`node "${name}" has two attributes "${attribute.name}"`);
    attributes.set(attribute.name, readAttribute(attribute, name));
  }
  return { name, operator: proto.opType, inputs: proto.input, outputs: proto.output, attributes };
}

function readAttribute(proto: AttributeProto, node: string): AttributeValue {
  switch (proto.type) {
    case AttributeType.FLOAT:
      return proto.f;
    case AttributeType.INT:
      return proto.i;
    case AttributeType.STRING:
      return new TextDecoder().decode(proto.s);
    case AttributeType.FLOATS:
      return proto.floats;
    case AttributeType.INTS:
      return proto.ints;
    default:
      throw new OnnxError("UnsupportedOperator", `attribute "${proto.name}" of node "${node}" is not a number or text`);
  }
}
