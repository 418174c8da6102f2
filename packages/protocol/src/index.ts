export * from "./audit.ts";
export * from "./bytes.ts";
export * from "./cid.ts";
export * from "./encoding.ts";
export * from "./errors.ts";
export * from "./merkle.ts";
export * from "./tensor-id.ts";
export * from "./job/index.ts";
export type { Fuzzer, FuzzOptions } from "./fuzz.ts";
