/** What to use instead of an operator that cannot be trained and proven. */
const instead: Record<string, string> = {
  BatchNormalization: "fold it into the layer before it, or leave it out",
  LayerNormalization: "leave it out; centre the inputs by the metadata skynet.input.*",
  Dropout: "export the model in evaluation mode, without it",
  Identity: "remove it: most exporters can simplify the graph",
  Sigmoid: "Relu between layers; at the end nothing, or Softmax",
  Tanh: "Relu",
  LeakyRelu: "Relu",
  PRelu: "Relu",
  Elu: "Relu",
  Selu: "Relu",
  Gelu: "Relu",
  Clip: "Relu",
  LogSoftmax: "Softmax, or end with the logits",
  Conv: "Flatten and fully connected layers (Gemm)",
  ConvTranspose: "fully connected layers (Gemm)",
  MaxPool: "Flatten and fully connected layers (Gemm)",
  AveragePool: "Flatten and fully connected layers (Gemm)",
  GlobalAveragePool: "Flatten and fully connected layers (Gemm)",
  Attention: "fully connected layers (Gemm)",
  LSTM: "fully connected layers (Gemm) over a fixed window",
  GRU: "fully connected layers (Gemm) over a fixed window",
  RNN: "fully connected layers (Gemm) over a fixed window",
  Sub: "Add, or the metadata skynet.input.offset for centring inputs",
  Div: "the metadata skynet.input.divisor for scaling inputs",
  Mul: "the metadata skynet.input.divisor for scaling inputs",
  Transpose: "store the weights transposed, or Gemm with transB",
  Squeeze: "Reshape",
  Unsqueeze: "Reshape",
  Einsum: "MatMul",
};

const FALLBACK = "fully connected layers (Gemm, or MatMul and Add) with Relu between them";

/** One sentence for each distinct operator: "Conv: use ... instead." */
export function alternatives(operators: readonly string[]): string {
  return [...new Set(operators)]
    .slice(0, 10)
    .map((operator) => `${operator || "(no operator)"}: use ${instead[operator] ?? FALLBACK}.`)
    .join(" ");
}
