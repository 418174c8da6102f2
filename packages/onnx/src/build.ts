import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "onnx-buf";
import type { AttributeValue, DataArrays, DataType, Dimension } from "./graph.ts";
import { dataTypeNumber } from "./tensors.ts";

/** IR version and operator set that every current runtime reads. */
const IR_VERSION = 8n;
const OPSET = 17n;

export interface ModelOptions {
  readonly name: string;
  /** Comes before every name but those of inputs and outputs, so that they cannot collide. */
  readonly prefix?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Attributes: a bigint is an INT, a number a FLOAT, an array of bigints INTS. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

/**
 * Writes ONNX models node by node; equal calls give equal bytes. Any operator of the default operator set may be used.
 * @example
 * const model = new ModelBuilder({ name: "sum" });
 * const x = model.input("x", "float32", ["batch", 2]);
 * model.output(model.node("Relu", [x]), "y", "float32", ["batch", 2]);
 * const bytes = model.encode();
 */
export class ModelBuilder {
  readonly #options: ModelOptions;
  readonly #nodes: { name: string; operator: string; inputs: string[]; output: string; attributes: Attributes }[] = [];
  readonly #constants: { name: string; type: DataType; shape: readonly number[]; data: DataArrays[DataType] }[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  /** Declares an input; a text in the shape is a dimension known when the model runs. Returns its name. */
  input(name: string, type: DataType, shape: readonly Dimension[]): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** Adds an initializer, row-major. Returns its name. */
  constant<T extends DataType>(name: string, type: T, shape: readonly number[], data: DataArrays[T]): string {
    const full = `${this.#options.prefix ?? ""}${name}`;
    this.#constants.push({ name: full, type, shape, data });
    return full;
  }

  /** Adds a node with one output. Returns the name of the node and of its output: the operator and a number. */
  node(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const name = `${this.#options.prefix ?? ""}${operator.toLowerCase()}_${this.#nodes.length + 1}`;
    this.#nodes.push({ name, operator, inputs: [...inputs], output: name, attributes });
    return name;
  }

  /** Makes the result of a node an output of the model under the name `name`. */
  output(value: string, name: string, type: DataType, shape: readonly Dimension[]): void {
    for (const node of this.#nodes) {
      node.inputs = node.inputs.map((input) => (input === value ? name : input));
      if (node.output === value) node.output = name;
    }
    this.#outputs.push(valueInfo(name, type, shape));
  }

  encode(): Uint8Array {
    const { name, metadata = {} } = this.#options;
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "skynet",
      opsetImport: [{ domain: "", version: OPSET }],
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      graph: {
        name,
        node: this.#nodes.map(({ name, operator, inputs, output, attributes }) =>
          create(NodeProtoSchema, {
            name,
            opType: operator,
            input: inputs,
            output: [output],
            attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
          }),
        ),
        initializer: this.#constants.map(({ name, type, shape, data }) =>
          create(TensorProtoSchema, {
            name,
            dataType: dataTypeNumber[type],
            dims: shape.map(BigInt),
            rawData: littleEndianBytes(data),
          }),
        ),
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    return toBinary(ModelProtoSchema, model);
  }
}

function valueInfo(name: string, type: DataType, shape: readonly Dimension[]): ValueInfoProto {
  const dim = shape.map((dimension) =>
    typeof dimension === "string"
      ? { value: { case: "dimParam" as const, value: dimension } }
      : { value: { case: "dimValue" as const, value: BigInt(dimension) } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType: dataTypeNumber[type], shape: { dim } } } },
  });
}

function attributeProto(name: string, value: AttributeValue) {
  if (typeof value === "bigint") return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: value });
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  if (isBigints(value)) return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: [...value] });
  return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...value] });
}

const isBigints = (values: readonly number[] | readonly bigint[]): values is readonly bigint[] =>
  typeof values[0] === "bigint";

function littleEndianBytes(data: DataArrays[DataType]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(data.byteLength));
  const size = data.BYTES_PER_ELEMENT;
  if (data instanceof BigInt64Array) data.forEach((value, i) => view.setBigInt64(size * i, value, true));
  else if (data instanceof Int32Array) data.forEach((value, i) => view.setInt32(size * i, value, true));
  else if (data instanceof Float32Array) data.forEach((value, i) => view.setFloat32(size * i, value, true));
  else data.forEach((value, i) => view.setFloat64(size * i, value, true));
  return new Uint8Array(view.buffer);
}
