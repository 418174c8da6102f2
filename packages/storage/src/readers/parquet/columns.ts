import type { SchemaElement, SchemaTree } from "hyparquet";
import { StorageError } from "../../errors.ts";
import { MAX_COLUMNS } from "../limits.ts";
import type { ColumnInfo } from "../reader.ts";

/** A column of the file that is read: one leaf of its schema. */
export interface ParquetColumn {
  readonly name: string;
  readonly kind: ColumnInfo["kind"];
  /** Root, the column, and what is between it and the leaf. */
  readonly schemaPath: readonly SchemaTree[];
  readonly leaf: SchemaElement;
  /** Place of the leaf among all leaves, which is that of its chunk in each row group. */
  readonly index: number;
  /** Of the numbers of a tensor. */
  readonly dtype: TensorType;
}

export type TensorType = keyof typeof TENSOR_TYPES;

export const TENSOR_TYPES = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

/**
 * The columns of a file: plain values are cells, lists of numbers, also inside of lists, are tensors.
 * @throws StorageError `UnsupportedFile` with the column's name and type, `TooLarge`
 */
export function columnsOf(root: SchemaTree, file: string): ParquetColumn[] {
  if (root.children.length > MAX_COLUMNS)
    throw new StorageError("TooLarge", `${file}: ${root.children.length} columns, at most ${MAX_COLUMNS} are read`);
  let index = 0;
  return root.children.map((column) => {
    const schemaPath = [root, ...pathToLeaf(column, file)];
    const leaf = schemaPath.at(-1)!.element;
    const isTensor = schemaPath.length > 2;
    checkType(leaf, column.element.name, isTensor, file);
    return {
      name: column.element.name,
      kind: isTensor ? "tensor" : "cells",
      schemaPath,
      leaf,
      index: index++,
      dtype: dtypeOf(leaf),
    };
  });
}

/** Down a column whose every level has one child. */
function pathToLeaf(column: SchemaTree, file: string): SchemaTree[] {
  const path = [column];
  for (let node = column; node.children.length > 0; node = path.at(-1)!) {
    const { converted_type: type, logical_type: logical } = node.element;
    const isList = type === "LIST" || logical?.type === "LIST" || node.element.repetition_type === "REPEATED";
    // The element of a list in a list is a list itself.
    if (node.children.length > 1 || !isList) throw unsupported(file, column.element.name, "records or maps");
    path.push(node.children[0]!);
  }
  if (path.length === 1 && column.element.repetition_type === "REPEATED")
    throw unsupported(file, column.element.name, "repeated values outside of a list");
  return path;
}

function checkType(element: SchemaElement, name: string, isTensor: boolean, file: string): void {
  const { type, converted_type: converted, logical_type: logical } = element;
  const special = converted ?? logical?.type;
  const isText = type === "BYTE_ARRAY" && special !== "DECIMAL";
  if (["BSON", "INTERVAL", "GEOMETRY", "GEOGRAPHY", "VARIANT"].includes(special ?? ""))
    throw unsupported(file, name, special!.toLowerCase());
  if (type === "FIXED_LEN_BYTE_ARRAY" && !["DECIMAL", "FLOAT16", "UUID"].includes(special ?? ""))
    throw unsupported(file, name, "bytes of fixed length");
  if (isTensor && (isText || special === "UUID")) throw unsupported(file, name, "lists of text");
}

function unsupported(file: string, name: string, what: string): StorageError {
  return new StorageError(
    "UnsupportedFile",
    `${file}: the column ${JSON.stringify(name)} has ${what}, which is not read`,
    {
      hint: "leave the column out, or turn it into columns of numbers, text, dates or lists of numbers, before it is written",
    },
  );
}

const INTEGERS: Record<string, TensorType> = {
  INT_8: "int8",
  UINT_8: "uint8",
  INT_16: "int16",
  UINT_16: "uint16",
  UINT_32: "uint32",
};

function dtypeOf({ type, converted_type: converted, logical_type: logical }: SchemaElement): TensorType {
  if (type === "BOOLEAN") return "uint8";
  if (type === "FLOAT" || logical?.type === "FLOAT16") return "float32";
  if (type !== "INT32") return "float64";
  if (logical?.type === "INTEGER") return `${logical.isSigned ? "" : "u"}int${logical.bitWidth as 8 | 16 | 32}`;
  if (converted === undefined || converted === "INT_32") return "int32";
  return INTEGERS[converted] ?? "float64";
}
