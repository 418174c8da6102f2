import path from "node:path";

/** Everything that the coverage of the contracts writes. */
export const coverageFolder = path.join(import.meta.dirname, "..", "..", "build", "coverage");
export const marksFile = path.join(coverageFolder, "marks.json");
/** One file per chain: the marks that its transactions and calls have sent. */
export const hitsFolder = path.join(coverageFolder, "hits");
