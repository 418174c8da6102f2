import type { Hex } from "@skynet/protocol";
import type { Evaluation, ModelShape, TrainingSettings, Weights } from "@skynet/swarm";

/** Calls that the main thread makes into the training thread: method -> [arguments, result]. */
export interface TrainerCalls {
  load: [[model: Uint8Array, settings: TrainingSettings], ModelShape];
  initialWeights: [[seed: Uint8Array], Weights];
  quantise: [[bytes: Uint8Array], Int8Array];
  setWeights: [[weights: Weights], void];
  step: [[batch: { x: Int8Array; y: Uint8Array }], number];
  weights: [[], Weights];
  id: [[weights: Weights], Hex];
  encodeUpdate: [[base: Weights, updated: Weights], Uint8Array];
  applyUpdate: [[base: Weights, update: Uint8Array], Weights];
  average: [[base: Weights, updates: readonly Weights[]], Weights];
  evaluate: [[weights: Weights, x: Int8Array, y: Uint8Array], Evaluation];
  exportModel: [[weights: Weights], Uint8Array];
}

export type TrainerMethod = keyof TrainerCalls;

export interface TrainerRequest {
  readonly id: number;
  readonly method: TrainerMethod;
  readonly args: readonly unknown[];
}

export type TrainerResponse =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { code: string; message: string; hint: string | undefined } };
