export * from "./bitmap.ts";
export { earningsOf, type SeatEarnings } from "./earnings.ts";

export { JobRuleError } from "./errors.ts";
export type { JobRule } from "./errors.ts";
export * from "./events.ts";
export * from "./machine.ts";
export * from "./spec.ts";
export * from "./state.ts";
export * from "./invariants.ts";
export * from "./random.ts";
export { exampleSpec, partyAddress, playJob, randomSpec, requesterAddress, tryEvent } from "./random-jobs.ts";
export type { TraceStep } from "./random-jobs.ts";
export * from "./vectors.ts";
