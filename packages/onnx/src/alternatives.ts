/** What to use instead of an operator that cannot be trained and proven. */
const instead: Record<string, string> = {
  BatchNormalization: "fold it into the layer before it, or leave it out",
  LayerNormalization: "leave it out; centre the inputs by the metadata skynet.input.*",
  Dropout: "export the model in evaluation mode, without it",
  Identity: "remove it: most exporters can simplify the graph",
  Sigmoid: "use Relu between layers; at the end nothing, or Softmax",
  Tanh: "use Relu",
  LeakyRelu: "use Relu",
  PRelu: "use Relu",
  Elu: "use Relu",
  Selu: "use Relu",
  Gelu: "use Relu",
  Clip: "use Relu",
  LogSoftmax: "use Softmax, or end with the logits",
  Conv: "use Flatten and fully connected layers (Gemm)",
  ConvTranspose: "use fully connected layers (Gemm)",
  MaxPool: "use Flatten and fully connected layers (Gemm)",
  AveragePool: "use Flatten and fully connected layers (Gemm)",
  GlobalAveragePool: "use Flatten and fully connected layers (Gemm)",
  Attention: "use fully connected layers (Gemm)",
  LSTM: "use fully connected layers (Gemm) over a fixed window",
  GRU: "use fully connected layers (Gemm) over a fixed window",
  RNN: "use fully connected layers (Gemm) over a fixed window",
  Sub: "use Add, or the metadata skynet.input.offset for centring inputs",
  Div: "use the metadata skynet.input.divisor for scaling inputs",
  Mul: "use the metadata skynet.input.divisor for scaling inputs",
  Transpose: "store the weights transposed, or Gemm with transB",
  Squeeze: "use Reshape",
  Unsqueeze: "use Reshape",
  Einsum: "use MatMul",
};

const FALLBACK = "use fully connected layers (Gemm, or MatMul and Add) with Relu between them";

/** One sentence for each distinct operator: "Gelu: use Relu." */
export function alternatives(operators: readonly string[]): string {
  return [...new Set(operators)]
    .slice(0, 10)
    .map((operator) => `${operator || "(no operator)"}: ${instead[operator] ?? FALLBACK}.`)
    .join(" ");
}
