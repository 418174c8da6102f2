import { JobMode, JobOutcome, JobPhase } from "@skynet/protocol";
import type { z } from "zod";
import { modeNumber, type jobDetail, type jobItem, type modeName, type Sent } from "../schemas.ts";
import type { Row, Rows } from "../store/rows.ts";
import { hexOf, namesOf, num, str, strOrNull, TOKEN_COLUMNS, TOKEN_JOIN, tokenOf } from "./columns.ts";
import { equal, listPage, prefixed, where, type Condition, type Page, type PageQuery } from "./list.ts";

export interface JobQuery extends PageQuery {
  readonly prefix?: string | undefined;
  readonly phase?: keyof typeof JobPhase | undefined;
  readonly outcome?: keyof typeof JobOutcome | undefined;
  readonly mode?: z.output<typeof modeName> | undefined;
  readonly active?: boolean | undefined;
  readonly requester?: string | undefined;
  readonly worker?: string | undefined;
  readonly token?: string | undefined;
}

const phaseOf = namesOf(JobPhase);
const outcomeOf = namesOf(JobOutcome);

const COLUMNS = `t.id, t.block, t.tx, t.requester, t.name, t.mode, t.zero_knowledge, t.phase, t.outcome, t.stopping,
  t.rounds, t.round, t.seats, t.price_min, t.price_max, t.stake, t.price, t.budget, t.paid, t.refunded, t.burned, t.model, t.verifier, t.data_root,
  ${TOKEN_COLUMNS}`;

function itemOf(reader: Rows, row: Row): Sent<typeof jobItem> {
  const workers = reader.all("SELECT worker FROM seats WHERE job = ? ORDER BY seat", str(row, "id"));
  return {
    id: str(row, "id"),
    block: num(row, "block"),
    transaction: str(row, "tx"),
    requester: str(row, "requester"),
    name: strOrNull(row, "name"),
    mode: num(row, "mode") === JobMode.PROOF ? "proof" : "quorum",
    zeroKnowledge: row.zero_knowledge === 1,
    phase: phaseOf(num(row, "phase")),
    outcome: outcomeOf(num(row, "outcome")),
    stopping: row.stopping === 1,
    rounds: num(row, "rounds"),
    round: num(row, "round"),
    seats: num(row, "seats"),
    workers: workers.map(({ worker }) => String(worker)),
    token: tokenOf(row),
    priceMin: str(row, "price_min"),
    priceMax: str(row, "price_max"),
    stake: str(row, "stake"),
    price: str(row, "price"),
    budget: str(row, "budget"),
    paid: str(row, "paid"),
    refunded: str(row, "refunded"),
    burned: str(row, "burned"),
    modelId: str(row, "model"),
    verifierId: str(row, "verifier"),
    dataRoot: str(row, "data_root"),
  };
}

function conditionsOf({ prefix, phase, outcome, mode, active, requester, worker, token }: JobQuery): Condition[] {
  return [
    ...prefixed(prefix),
    ...(phase === undefined ? [] : [where("t.phase = ?", JobPhase[phase])]),
    ...(outcome === undefined ? [] : [where("t.outcome = ?", JobOutcome[outcome])]),
    ...(mode === undefined ? [] : [where("t.mode = ?", modeNumber[mode])]),
    ...(active === undefined ? [] : [where(`t.phase ${active ? "<" : "="} ?`, JobPhase.SETTLED)]),
    ...equal("t.requester", requester),
    ...(worker === undefined ? [] : [where("t.id IN (SELECT job FROM seats WHERE worker = ?)", worker)]),
    ...equal("t.token", token),
  ];
}

export function listJobs(reader: Rows, query: JobQuery): Page<Sent<typeof jobItem>> {
  return listPage(reader, {
    ...query,
    table: "jobs",
    columns: COLUMNS,
    joins: TOKEN_JOIN,
    conditions: conditionsOf(query),
    item: (row) => itemOf(reader, row),
  });
}

export function findJob(reader: Rows, id: string): Sent<typeof jobDetail> | undefined {
  const sql = `SELECT ${COLUMNS}, t.spec, t.meta, t.meta_bytes FROM jobs t ${TOKEN_JOIN} WHERE t.id = ?`;
  const row = reader.get(sql, id);
  if (row === undefined) return undefined;
  return {
    ...itemOf(reader, row),
    terms: JSON.parse(str(row, "spec")) as Record<string, string | number>,
    meta: row.meta === null ? null : hexOf(row, "meta"),
    metaBytes: num(row, "meta_bytes"),
  };
}
