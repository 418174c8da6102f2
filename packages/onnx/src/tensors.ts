import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType } from "onnx-buf";
import { broken, OnnxError } from "./errors.ts";
import type { DataArrays, DataType, Tensor } from "./graph.ts";

/** Most elements of one tensor: 256 Mi. */
export const MAX_ELEMENTS = 2 ** 28;

const bytesPerElement: Record<DataType, number> = { float32: 4, float64: 8, int32: 4, int64: 8 };

const dataTypes: Partial<Record<number, DataType>> = {
  [TensorProto_DataType.FLOAT]: "float32",
  [TensorProto_DataType.DOUBLE]: "float64",
  [TensorProto_DataType.INT32]: "int32",
  [TensorProto_DataType.INT64]: "int64",
};

/** ONNX's number for an element type. */
export const dataTypeNumber: Record<DataType, number> = {
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
};

/** @throws OnnxError `UnsupportedType` */
export function dataTypeOf(number: number, where: string): DataType {
  const type = dataTypes[number];
  if (type !== undefined) return type;
  const name = TensorProto_DataType[number]?.toLowerCase() ?? `number ${number}`;
  throw new OnnxError("UnsupportedType", `${where} has elements of type ${name}`, {
    hint: `Export the model with one of ${Object.keys(bytesPerElement).join(", ")}.`,
  });
}

/** Number of elements. @throws OnnxError `BrokenOnnx` (negative) or `OnnxTooLarge` */
export function sizeOf(shape: readonly number[], where: string): number {
  let size = 1;
  for (const dimension of shape) {
    size *= dimension;
    if (size > MAX_ELEMENTS)
      throw new OnnxError("OnnxTooLarge", `${where} has more than ${MAX_ELEMENTS} elements (${shape.join(" x ")})`);
  }
  return size;
}

/** Checks one dimension of a file. */
export function dimensionOf(value: bigint, where: string): number {
  if (value < 0n) throw broken(`${where} has the negative dimension ${value}`);
  if (value > BigInt(MAX_ELEMENTS)) throw new OnnxError("OnnxTooLarge", `${where} has a dimension of ${value}`);
  return Number(value);
}

/** Reads an initializer. */
export function readTensor(proto: TensorProto): Tensor {
  const where = `tensor "${proto.name}"`;
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL || proto.externalData.length > 0)
    throw new OnnxError("UnsupportedOperator", `${where} keeps its data in another file`, {
      hint: "Save the model as one file (onnx.save_model with save_as_external_data=False).",
    });
  if (proto.segment !== undefined) throw broken(`${where} is only a segment`);
  const type = dataTypeOf(proto.dataType, where);
  const shape = proto.dims.map((value) => dimensionOf(value, where));
  const size = sizeOf(shape, where);
  return { name: proto.name, type, shape, data: readData(proto, type, size, where) };
}

function readData(proto: TensorProto, type: DataType, size: number, where: string): DataArrays[DataType] {
  const raw = proto.rawData;
  if (raw.length > 0) {
    if (raw.length !== size * bytesPerElement[type])
      throw broken(`${where} has ${raw.length} bytes of data instead of ${size * bytesPerElement[type]}`);
    return readRaw(raw, type, size);
  }
  const given = { float32: proto.floatData, float64: proto.doubleData, int32: proto.int32Data, int64: proto.int64Data };
  if (given[type].length !== size) throw broken(`${where} has ${given[type].length} elements instead of ${size}`);
  if (type === "int64") return BigInt64Array.from(proto.int64Data);
  if (type === "int32") return Int32Array.from(proto.int32Data);
  return type === "float32" ? Float32Array.from(proto.floatData) : Float64Array.from(proto.doubleData);
}

/** ONNX stores little-endian elements, aligned nowhere. */
function readRaw(raw: Uint8Array, type: DataType, size: number): DataArrays[DataType] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (type === "int64") return BigInt64Array.from({ length: size }, (_, i) => view.getBigInt64(8 * i, true));
  if (type === "int32") return Int32Array.from({ length: size }, (_, i) => view.getInt32(4 * i, true));
  if (type === "float32") return Float32Array.from({ length: size }, (_, i) => view.getFloat32(4 * i, true));
  return Float64Array.from({ length: size }, (_, i) => view.getFloat64(8 * i, true));
}
