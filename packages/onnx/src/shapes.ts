import { broken, OnnxError } from "./errors.ts";
import type { Dimension, Node, Tensor, Value } from "./graph.ts";
import { MAX_ELEMENTS } from "./tensors.ts";

type Shape = readonly Dimension[];
type Rule = (node: Node, inputs: readonly Value[], initializers: ReadonlyMap<string, Tensor>) => Shape;

/** Shape rules of the supported operators, after the ONNX operator specification. */
const rules: Record<string, Rule> = {
  Add: (node, [a, b]) => broadcast(node, a!.shape, b!.shape),
  Flatten: (node, [x]) => {
    const rank = x!.shape.length;
    const given = integer(node, "axis", 1);
    const axis = given < 0 ? given + rank : given;
    if (axis < 0 || axis > rank) throw broken(`node "${node.name}" (Flatten) has axis ${given} for rank ${rank}`);
    return [product(node, x!.shape.slice(0, axis)), product(node, x!.shape.slice(axis))];
  },
  Gemm: (node, [a, b, c]) => {
    const left = transposed(node, a!.shape, integer(node, "transA", 0));
    const right = transposed(node, b!.shape, integer(node, "transB", 0));
    const shape = contract(node, left, right);
    if (c !== undefined && !sameShape(broadcast(node, shape, c.shape), shape))
      throw broken(`node "${node.name}" (Gemm): its third input does not broadcast to the product`);
    return shape;
  },
  MatMul: (node, [a, b]) => contract(node, matrix(node, a!.shape), matrix(node, b!.shape)),
  Relu: (_, [x]) => x!.shape,
  Reshape: (node, [x], initializers) => reshape(node, x!.shape, initializers),
  Softmax: (_, [x]) => x!.shape,
};

const inputCounts: Record<string, readonly [number, number]> = {
  Add: [2, 2],
  Flatten: [1, 1],
  Gemm: [2, 3],
  MatMul: [2, 2],
  Relu: [1, 1],
  Reshape: [2, 2],
  Softmax: [1, 1],
};

/** Operators that a graph may use. */
export const supportedOperators: readonly string[] = Object.keys(rules);

/**
 * Type and shape of every value, from the inputs through the sorted nodes to the outputs.
 * @throws OnnxError where shapes or types contradict each other or what the file declares
 */
export function inferShapes(
  inputs: readonly Value[],
  initializers: ReadonlyMap<string, Tensor>,
  nodes: readonly Node[],
  declared: readonly Value[],
): { values: Map<string, Value>; outputs: Value[] } {
  const values = new Map<string, Value>();
  for (const { name, type, shape } of [...inputs, ...initializers.values()]) values.set(name, { name, type, shape });
  for (const node of nodes) {
    const [fewest, most] = inputCounts[node.operator]!;
    const named = node.inputs.at(-1) === "" ? node.inputs.slice(0, -1) : node.inputs;
    if (named.length < fewest || named.length > most || named.includes(""))
      throw broken(`node "${node.name}" (${node.operator}) has the wrong number of inputs`);
    const read = named.map((name) => values.get(name)!);
    const numeric = node.operator === "Reshape" ? read.slice(0, 1) : read;
    const type = numeric[0]!.type;
    if (numeric.some((value) => value.type !== type))
      throw broken(`node "${node.name}" (${node.operator}) mixes element types`);
    const shape = rules[node.operator]!(node, read, initializers);
    product(node, shape);
    values.set(node.outputs[0]!, { name: node.outputs[0]!, type, shape });
  }
  if (declared.length === 0) throw broken("the graph has no outputs");
  const outputs = declared.map((output) => {
    const value = values.get(output.name);
    if (value === undefined) throw broken(`nothing produces the output "${output.name}"`);
    const fits =
      value.type === output.type &&
      value.shape.length === output.shape.length &&
      value.shape.every(
        (d, i) => typeof d === "string" || typeof output.shape[i] === "string" || d === output.shape[i],
      );
    if (!fits) throw broken(`the output "${output.name}" is declared with another type or shape than it has`);
    return value;
  });
  return { values, outputs };
}

function integer(node: Node, name: string, fallback: number): number {
  const value = node.attributes.get(name) ?? BigInt(fallback);
  if (typeof value !== "bigint" || value < -64n || value > 64n)
    throw broken(`attribute "${name}" of node "${node.name}" is not a small integer`);
  return Number(value);
}

const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

function matrix(node: Node, shape: Shape): readonly [Dimension, Dimension] {
  if (shape.length !== 2)
    throw new OnnxError(
      "UnsupportedOperator",
      `node "${node.name}" (${node.operator}) has an input of rank ${shape.length}`,
      {
        hint: "Flatten the input first: fully connected layers take matrices.",
      },
    );
  return [shape[0]!, shape[1]!];
}

function transposed(node: Node, shape: Shape, transpose: number): readonly [Dimension, Dimension] {
  const [rows, columns] = matrix(node, shape);
  return transpose === 0 ? [rows, columns] : [columns, rows];
}

function contract(node: Node, left: readonly [Dimension, Dimension], right: readonly [Dimension, Dimension]): Shape {
  if (left[1] !== right[0])
    throw broken(`node "${node.name}" (${node.operator}) multiplies ${left.join(" x ")} by ${right.join(" x ")}`);
  return [left[0], right[1]];
}

function broadcast(node: Node, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1)
      throw broken(`node "${node.name}" (${node.operator}) combines ${a.join(" x ")} with ${b.join(" x ")}`);
    return x === 1 ? y : x;
  });
}

/** Product of dimensions, of which at most one may be symbolic (then all others must be 1). */
function product(node: Node, shape: Shape): Dimension {
  let size = 1;
  const symbols: string[] = [];
  for (const dimension of shape) {
    if (typeof dimension === "string") symbols.push(dimension);
    else size *= dimension;
    if (size > MAX_ELEMENTS)
      throw new OnnxError("OnnxTooLarge", `node "${node.name}" makes a tensor of ${shape.join(" x ")} elements`);
  }
  if (symbols.length === 0) return size;
  return symbols.length === 1 && size === 1 ? symbols[0]! : [...symbols, size].join("*");
}

function reshape(node: Node, from: Shape, initializers: ReadonlyMap<string, Tensor>): Shape {
  const wanted = initializers.get(node.inputs[1]!);
  if (wanted?.type !== "int64" || wanted.shape.length !== 1 || wanted.data.length > 8)
    throw new OnnxError("UnsupportedOperator", `node "${node.name}" (Reshape) takes its shape from a computation`, {
      hint: "Give the shape as a constant of type int64, or use Flatten.",
    });
  const keepsZero = integer(node, "allowzero", 0) !== 0;
  const shape = [...wanted.data].map((entry, axis): Dimension => {
    const size = Number(entry);
    if (size < -1 || (size === 0 && !keepsZero && axis >= from.length))
      throw broken(`node "${node.name}" (Reshape) asks for dimension ${entry}`);
    return size === 0 && !keepsZero ? from[axis]! : size;
  });
  const free = shape.indexOf(-1);
  if (free >= 0 && shape.includes(-1, free + 1)) throw broken(`node "${node.name}" (Reshape) has two free dimensions`);
  const before = sizeAndSymbols(from);
  const after = sizeAndSymbols(shape.filter((_, axis) => axis !== free));
  for (const symbol of after.symbols) before.symbols.splice(before.symbols.indexOf(symbol), 1);
  const factor = before.size / after.size;
  if (free < 0 && factor === 1 && before.symbols.length === 0) return shape;
  if (free >= 0 && Number.isInteger(factor) && before.symbols.length === 0) return shape.with(free, factor);
  if (free >= 0 && factor === 1 && before.symbols.length === 1) return shape.with(free, before.symbols[0]!);
  throw broken(`node "${node.name}" (Reshape) cannot turn ${from.join(" x ")} into ${wanted.data.join(" x ")}`);
}

function sizeAndSymbols(shape: Shape): { size: number; symbols: string[] } {
  return {
    size: shape.filter((dimension) => typeof dimension === "number").reduce((a, b) => a * b, 1),
    symbols: shape.filter((dimension) => typeof dimension === "string"),
  };
}
