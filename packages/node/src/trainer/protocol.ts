import type { Trainer } from "@skynet/swarm";

/** Calls that the main thread makes into the training thread. */
export type TrainerMethods = Omit<Trainer, "close">;
export type TrainerMethod = keyof TrainerMethods;

/** How a training thread is set up. */
export interface TrainerSetup {
  /** Threads for commitments, the training thread included. */
  readonly threads: number;
  /** File of the reference string; without one, the development string. */
  readonly referenceString?: string | undefined;
}

export interface TrainerRequest {
  readonly id: number;
  readonly method: TrainerMethod;
  readonly args: readonly unknown[];
}

export type TrainerResponse =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { code: string; message: string; hint: string | undefined } };
