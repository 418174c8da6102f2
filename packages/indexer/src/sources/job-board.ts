import { jobBoardAbi } from "@skynet/contracts";
import { budgetOf, JobMode, JobOutcome, JobPhase, type JobSpec } from "@skynet/protocol";
import { readMetadata } from "./metadata.ts";
import { defineSource, lower, searchText, type Place, type Writer } from "./source.ts";

const tables = [
  {
    name: "jobs",
    searchable: true,
    definition: `
CREATE TABLE jobs (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, block INTEGER NOT NULL, tx TEXT NOT NULL,
  requester TEXT NOT NULL, token TEXT NOT NULL, mode INTEGER NOT NULL, seats INTEGER NOT NULL, rounds INTEGER NOT NULL,
  phase INTEGER NOT NULL, outcome INTEGER NOT NULL, round INTEGER NOT NULL, stopping INTEGER NOT NULL,
  price_min TEXT NOT NULL, price_max TEXT NOT NULL, stake TEXT NOT NULL, price TEXT NOT NULL,
  budget TEXT NOT NULL, paid TEXT NOT NULL, refunded TEXT NOT NULL, burned TEXT NOT NULL, model TEXT NOT NULL, verifier TEXT NOT NULL, data_root TEXT NOT NULL,
  name TEXT, zero_knowledge INTEGER NOT NULL, meta_bytes INTEGER NOT NULL, meta BLOB, spec TEXT NOT NULL,
  search TEXT NOT NULL) STRICT;
CREATE INDEX jobs_phase ON jobs(phase, position);
CREATE INDEX jobs_requester ON jobs(requester, position);
CREATE INDEX jobs_token ON jobs(token, position);`,
  },
  {
    name: "seats",
    definition: `
CREATE TABLE seats (
  position INTEGER PRIMARY KEY, job TEXT NOT NULL, seat INTEGER NOT NULL, worker TEXT NOT NULL,
  UNIQUE (job, seat)) STRICT;
CREATE INDEX seats_worker ON seats(worker, job);`,
  },
] as const;

const specText = (spec: JobSpec) =>
  JSON.stringify(spec, (_name, value: unknown) => {
    if (typeof value === "bigint") return value.toString();
    return typeof value === "string" ? lower(value) : value;
  });

/** Whether a proven job says that it hides its data; what cannot be read promises nothing. */
function isZeroKnowledge(mode: number, fields: Readonly<Record<string, unknown>>): boolean {
  if (mode !== JobMode.PROOF || typeof fields.name !== "string") return false;
  const { circuit } = fields;
  return !(typeof circuit === "object" && circuit !== null && "hiding" in circuit && circuit.hiding === false);
}

function post(writer: Writer, id: string, spec: JobSpec, meta: string, { block, transaction }: Place): void {
  const { bytes, raw, name, words, fields } = readMetadata(lower(meta));
  const [requester, token] = [lower(spec.requester), lower(spec.token)];
  writer.token(token);
  writer.insert("jobs", {
    id,
    block,
    tx: transaction,
    requester,
    token,
    mode: spec.mode,
    seats: spec.seats,
    rounds: spec.rounds,
    phase: JobPhase.OPEN,
    outcome: JobOutcome.NONE,
    round: 0,
    stopping: 0,
    price_min: spec.priceMin.toString(),
    price_max: spec.priceMax.toString(),
    stake: spec.stake.toString(),
    price: "0",
    budget: budgetOf(spec).toString(),
    paid: "0",
    refunded: "0",
    burned: "0",
    model: lower(spec.modelId),
    verifier: lower(spec.stepVerifier),
    data_root: lower(spec.dataRoot),
    name,
    zero_knowledge: Number(isZeroKnowledge(spec.mode, fields)),
    meta_bytes: bytes,
    meta: raw,
    spec: specText(spec),
    search: searchText(id, requester, words),
  });
}

function addPaid(writer: Writer, id: string, amount: bigint): void {
  const row = writer.get("SELECT paid FROM jobs WHERE id = ?", id);
  if (row === undefined) return;
  writer.run("UPDATE jobs SET paid = ? WHERE id = ?", (BigInt(String(row.paid)) + amount).toString(), id);
}

/** Jobs: terms, seats, phases and money. */
export const jobBoard = defineSource({
  name: "jobBoard",
  tables,
  abi: jobBoardAbi,
  address: (all) => all.jobBoard,
  on: (writer, event, place) => {
    const { eventName, args } = event;
    if (eventName === "EIP712DomainChanged") return;
    const id = args.jobId;
    switch (eventName) {
      case "JobPosted":
        return post(writer, id, args.spec as JobSpec, args.meta, place);
      case "Joined":
        return writer.insert("seats", { job: id, seat: args.seat, worker: lower(args.worker) });
      case "Assigned":
        return writer.run("UPDATE jobs SET price = ? WHERE id = ?", args.price.toString(), id);
      case "PhaseChanged":
        return writer.run("UPDATE jobs SET phase = ?, round = ? WHERE id = ?", args.phase, args.round, id);
      case "StopRequested":
        return writer.run("UPDATE jobs SET stopping = 1 WHERE id = ?", id);
      case "Merged":
        writer.run("UPDATE jobs SET model = ? WHERE id = ?", args.idNext, id);
        return addPaid(writer, id, args.fee);
      case "Claimed":
      case "HoldClaimed":
        return addPaid(writer, id, args.amount);
      case "Settled": {
        const [refund, burned] = [args.refund.toString(), args.holdBurned.toString()];
        const change = "UPDATE jobs SET outcome = ?, refunded = ?, burned = ? WHERE id = ?";
        return writer.run(change, args.outcome, refund, burned, id);
      }
      default:
        return undefined;
    }
  },
});
