import { crashWriters } from "./blocks/crashes.ts";
import { ipfsFuzzers } from "./ipfs/fuzz.ts";
import { crashImports } from "./prepare/crashes.ts";
import { damageFiles } from "./readers/damage.ts";
import { crashDownloads } from "./sources/crashes.ts";
import { remoteFuzzers } from "./remote/fuzz.ts";

export const fuzzers = {
  "store-crashes": crashWriters,
  "import-crashes": crashImports,
  "damaged-files": damageFiles,
  "download-crashes": crashDownloads,
  ...ipfsFuzzers,
  ...remoteFuzzers,
};
