import { crashWriters } from "./blocks/crashes.ts";

export const fuzzers = { "store-crashes": crashWriters };
