export { packColumns, packRows, pairRows, product, update } from "./matrix";
export { logits, relu, reluGradient, softmax, widen } from "./elementwise";
