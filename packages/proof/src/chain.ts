import type { Graph, Node, Tensor, Value } from "@skynet/onnx";
import { CompileError } from "./errors.ts";

/** A fully connected layer as found in the model. */
export interface ChainLayer {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** Kernel [inputs, outputs], or [outputs, inputs] when `transposed`; one bias per output. */
  readonly kernel: Tensor;
  readonly transposed: boolean;
  readonly bias: Tensor;
}

/** A model that is a chain of fully connected layers with ReLU between them. */
export interface Chain {
  readonly input: Value;
  readonly features: number;
  readonly output: Value;
  readonly layers: readonly ChainLayer[];
  readonly softmax: boolean;
}

const SHAPE_HINT =
  "Trainable models: one input, Flatten or Reshape, then Gemm (or MatMul and Add) layers with Relu between them, optionally Softmax at the end.";

function refuse(message: string): never {
  throw new CompileError("UnsupportedModel", message, { hint: SHAPE_HINT });
}

/** What the walk along the chain has seen. */
interface Walk {
  readonly graph: Graph;
  readonly layers: ChainLayer[];
  /** A MatMul that still waits for its Add. */
  open: Omit<ChainLayer, "bias"> | undefined;
  /** Whether the value at hand passed a Relu since the last layer. */
  activated: boolean;
  softmax: boolean;
}

/**
 * Follows the model from its input to its output.
 * @throws CompileError `UnsupportedModel` naming the node that does not fit
 */
export function findChain(graph: Graph): Chain {
  if (graph.inputs.length !== 1) refuse(`the model has ${graph.inputs.length} inputs instead of one`);
  if (graph.outputs.length !== 1) refuse(`the model has ${graph.outputs.length} outputs instead of one`);
  const input = graph.inputs[0]!;
  const output = graph.outputs[0]!;
  const features = featuresOf(input);
  const walk: Walk = { graph, layers: [], open: undefined, activated: false, softmax: false };
  let value = input.name;
  for (const node of graph.nodes) {
    if (!node.inputs.includes(value)) refuse(`${describe(node)} branches off the chain of layers`);
    if (walk.softmax) refuse(`${describe(node)} follows Softmax, which must be the last node`);
    if (walk.open !== undefined && node.operator !== "Add")
      refuse(`MatMul "${walk.open.name}" has no bias: ${describe(node)} follows instead of Add`);
    if (value === output.name) refuse(`${describe(node)} follows the output of the model`);
    visit[node.operator]!(walk, node, value);
    value = node.outputs[0]!;
  }
  if (walk.open !== undefined) refuse(`MatMul "${walk.open.name}" has no bias`);
  if (value !== output.name) refuse(`the output "${output.name}" is not the end of the chain of layers`);
  if (walk.layers.length === 0) refuse("the model has no layers with weights");
  if (walk.activated) refuse("the last layer is followed by Relu; the loss needs its values before that");
  if (walk.layers[0]!.inputs !== features)
    refuse(`${walk.layers[0]!.name} takes ${walk.layers[0]!.inputs} values, but the input has ${features}`);
  return { input, features, output, layers: walk.layers, softmax: walk.softmax };
}

const describe = (node: Node): string => `${node.operator} "${node.name}"`;

/** The number of features: everything but the batch, which is the first dimension. */
function featuresOf(input: Value): number {
  const [batch, ...rest] = input.shape;
  if (batch === undefined || rest.length === 0) refuse(`the input "${input.name}" has no batch dimension`);
  let features = 1;
  for (const dimension of rest) {
    if (typeof dimension === "string") refuse(`the input "${input.name}" has the unknown dimension "${dimension}"`);
    features *= dimension;
  }
  return features;
}

const visit: Record<string, (walk: Walk, node: Node, value: string) => void> = {
  Flatten: reshape,
  Reshape: reshape,
  Gemm(walk, node, value) {
    if (node.inputs[0] !== value) refuse(`${describe(node)} uses the data as weights`);
    for (const name of ["alpha", "beta"])
      if ((node.attributes.get(name) ?? 1) !== 1) refuse(`${describe(node)} has ${name} other than 1`);
    if ((node.attributes.get("transA") ?? 0n) !== 0n) refuse(`${describe(node)} transposes its input`);
    const transposed = (node.attributes.get("transB") ?? 0n) !== 0n;
    const weights = constant(walk.graph, node, node.inputs[1]!);
    const [inputs, outputs] = transposed ? weights.shape.toReversed() : weights.shape;
    if (!node.inputs[2]) refuse(`${describe(node)} has no bias`);
    const bias = constant(walk.graph, node, node.inputs[2]);
    checkBias(bias, outputs!, node);
    addLayer(walk, { name: node.name, inputs: inputs!, outputs: outputs!, kernel: weights, transposed, bias });
  },
  MatMul(walk, node, value) {
    if (node.inputs[0] !== value) refuse(`${describe(node)} uses the data as weights`);
    const kernel = constant(walk.graph, node, node.inputs[1]!);
    const [inputs, outputs] = kernel.shape;
    walk.open = { name: node.name, inputs: inputs!, outputs: outputs!, kernel, transposed: false };
  },
  Add(walk, node, value) {
    if (walk.open === undefined) refuse(`${describe(node)} does not follow MatMul`);
    const bias = node.inputs[0] === value ? node.inputs[1]! : node.inputs[0]!;
    const tensor = constant(walk.graph, node, bias);
    checkBias(tensor, walk.open.outputs, node);
    addLayer(walk, { ...walk.open, bias: tensor });
    walk.open = undefined;
  },
  Relu(walk, node) {
    if (walk.layers.length === 0 || walk.activated) refuse(`${describe(node)} does not follow a layer with weights`);
    walk.activated = true;
  },
  Softmax(walk, node) {
    const axis = node.attributes.get("axis") ?? (walk.graph.opset >= 13 ? -1n : 1n);
    if (walk.layers.length === 0 || walk.activated || (axis !== -1n && axis !== 1n))
      refuse(`${describe(node)} is not over the classes of the last layer`);
    walk.softmax = true;
  },
};

function reshape(walk: Walk, node: Node, value: string): void {
  if (node.inputs[0] !== value) refuse(`${describe(node)} uses the data as a shape`);
  const from = walk.graph.values.get(value)!.shape;
  const to = walk.graph.values.get(node.outputs[0]!)!.shape;
  if (to.length !== 2 || to[0] !== from[0]) refuse(`${describe(node)} does not give a matrix [batch, features]`);
}

function constant(graph: Graph, node: Node, name: string): Tensor {
  const tensor = graph.initializers.get(name);
  if (tensor === undefined) refuse(`${describe(node)} takes weights that are not stored in the model`);
  return tensor;
}

function checkBias(bias: Tensor, outputs: number, node: Node): void {
  const dimensions = bias.shape.filter((dimension) => dimension !== 1);
  const fits = outputs === 1 ? dimensions.length === 0 : dimensions.length === 1 && dimensions[0] === outputs;
  if (!fits || bias.shape.length > 2 || (bias.shape.length > 0 && bias.shape.at(-1) !== outputs))
    refuse(`the bias of ${describe(node)} is not one number per output`);
}

function addLayer(walk: Walk, layer: ChainLayer): void {
  if (layer.inputs < 1 || layer.outputs < 1) refuse(`"${layer.name}" has no inputs or no outputs`);
  if (walk.layers.length > 0 && !walk.activated)
    refuse(`"${layer.name}" follows "${walk.layers.at(-1)!.name}" without Relu between them`);
  walk.layers.push(layer);
  walk.activated = false;
}
