/** A dimension: a number, or the name of one that is only known when the model runs (the batch). */
export type Dimension = number | string;

/** Element types that a graph may use. */
export type DataType = "float32" | "float64" | "int32" | "int64";

/** The typed array that holds the elements of each type. */
export interface DataArrays {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
}

/** A constant of the graph, row-major. */
export interface Tensor {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly data: DataArrays[DataType];
}

/** Type and shape of a value (an input, an output, an edge). */
export interface Value {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly Dimension[];
}

export type AttributeValue = number | bigint | string | readonly number[] | readonly bigint[];

export interface Node {
  /** Unique; taken from the first output when the file gives none. */
  readonly name: string;
  readonly operator: string;
  /** Names of values; an omitted optional input is the empty string. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

/** A model that was checked: every edge exists, names are unique, nodes are in the order of execution. */
export interface Graph {
  readonly name: string;
  readonly opset: number;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Inferred type and shape of every value, initializers included. */
  readonly values: ReadonlyMap<string, Value>;
  /** The model's metadata properties. */
  readonly metadata: ReadonlyMap<string, string>;
}
