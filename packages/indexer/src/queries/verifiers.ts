import type { Sent, verifierItem } from "../schemas.ts";
import type { Row, Rows } from "../store/rows.ts";
import { num, str } from "./columns.ts";
import { equal, listPage, where, type Page, type PageQuery } from "./list.ts";

/** As the VerifierRegistry numbers them. */
const kinds = { step: 1, inference: 2 } as const;
export type VerifierKind = keyof typeof kinds;

export interface VerifierQuery extends PageQuery {
  readonly kind?: VerifierKind | undefined;
  readonly circuit?: string | undefined;
}

const COLUMNS =
  "t.id, t.block, t.address, t.registrar, t.kind, t.circuit, t.srs, t.weights_tag, t.weight_blocks, t.source";

const itemOf = (row: Row): Sent<typeof verifierItem> => ({
  id: str(row, "id"),
  block: num(row, "block"),
  address: str(row, "address"),
  registrar: str(row, "registrar"),
  kind: row.kind === kinds.step ? "step" : "inference",
  circuitHash: str(row, "circuit"),
  srsHash: str(row, "srs"),
  weightsTag: str(row, "weights_tag"),
  weightBlocks: num(row, "weight_blocks"),
  source: str(row, "source"),
});

export function listVerifiers(reader: Rows, query: VerifierQuery): Page<Sent<typeof verifierItem>> {
  const { kind, circuit } = query;
  return listPage(reader, {
    ...query,
    table: "verifiers",
    columns: COLUMNS,
    conditions: [...(kind === undefined ? [] : [where("t.kind = ?", kinds[kind])]), ...equal("t.circuit", circuit)],
    item: itemOf,
  });
}

export function findVerifier(reader: Rows, id: string): Sent<typeof verifierItem> | undefined {
  const row = reader.get(`SELECT ${COLUMNS} FROM verifiers t WHERE t.id = ?`, id);
  return row === undefined ? undefined : itemOf(row);
}
