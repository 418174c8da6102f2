import { crashWriters } from "./blocks/crashes.ts";
import { remoteFuzzers } from "./remote/fuzz.ts";

export const fuzzers = { "store-crashes": crashWriters, ...remoteFuzzers };
