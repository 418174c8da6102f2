export * from "./bitmap.ts";
export { describeJobRule, JobRuleError } from "./errors.ts";
export type { JobRule } from "./errors.ts";
export * from "./events.ts";
export * from "./machine.ts";
export * from "./spec.ts";
export * from "./state.ts";
