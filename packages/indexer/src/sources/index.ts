import type { Table } from "../store/tables.ts";
import { catalog } from "./catalog.ts";
import { inferenceBoard } from "./inference-board.ts";
import { jobBoard } from "./job-board.ts";
import type { Source } from "./source.ts";
import { verifierRegistry } from "./verifier-registry.ts";
import { workerRegistry } from "./worker-registry.ts";

/** Every contract that the index follows. */
export const sources: readonly Source[] = [jobBoard, workerRegistry, verifierRegistry, catalog, inferenceBoard];

/** Tokens that rows name, with what their contracts say; `asked` until then 0. */
const tokens: Table = {
  name: "tokens",
  definition: `
CREATE TABLE tokens (
  position INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, asked INTEGER NOT NULL, symbol TEXT, decimals INTEGER)
  STRICT;`,
};

export const tables: readonly Table[] = [tokens, ...sources.flatMap((source) => source.tables)];
