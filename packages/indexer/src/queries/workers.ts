import type { Sent, workerItem } from "../schemas.ts";
import type { Row, Rows } from "../store/rows.ts";
import { hexOf, num, str, strOrNull, TOKEN_COLUMNS, TOKEN_JOIN, tokenOf } from "./columns.ts";
import { equal, listPage, where, type Page, type PageQuery } from "./list.ts";

export interface WorkerQuery extends PageQuery {
  readonly token?: string | undefined;
  readonly payout?: string | undefined;
}

const COLUMNS = "t.id, t.block, t.payout, t.public_key, t.epoch, t.name, t.capabilities, t.penalties";
/** Stakes that are shown of a worker: it can have some in any number of tokens. */
const MAX_STAKES = 50;

function itemOf(reader: Rows, row: Row): Sent<typeof workerItem> {
  const id = str(row, "id");
  const stakes = reader.all(
    `SELECT t.free, t.locked, t.leaving, ${TOKEN_COLUMNS} FROM stakes t ${TOKEN_JOIN}
     WHERE t.worker = ? ORDER BY t.position LIMIT ?`,
    id,
    MAX_STAKES,
  );
  return {
    address: id,
    block: num(row, "block"),
    payout: str(row, "payout"),
    publicKey: str(row, "public_key"),
    epoch: num(row, "epoch"),
    name: strOrNull(row, "name"),
    capabilities: hexOf(row, "capabilities"),
    jobs: num(reader.get("SELECT count(*) AS n FROM seats WHERE worker = ?", id)!, "n"),
    penalties: num(row, "penalties"),
    stakes: stakes.map((stake) => ({
      token: tokenOf(stake),
      free: str(stake, "free"),
      locked: str(stake, "locked"),
      leaving: str(stake, "leaving"),
    })),
  };
}

export function listWorkers(reader: Rows, query: WorkerQuery): Page<Sent<typeof workerItem>> {
  const { token, payout } = query;
  return listPage(reader, {
    ...query,
    table: "workers",
    columns: COLUMNS,
    conditions: [
      ...(token === undefined ? [] : [where("t.id IN (SELECT worker FROM stakes WHERE token = ?)", token)]),
      ...equal("t.payout", payout),
    ],
    item: (row) => itemOf(reader, row),
  });
}

export function findWorker(reader: Rows, id: string): Sent<typeof workerItem> | undefined {
  const row = reader.get(`SELECT ${COLUMNS} FROM workers t WHERE t.id = ?`, id);
  return row === undefined ? undefined : itemOf(reader, row);
}
