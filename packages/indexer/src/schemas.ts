import { cleanText, JobMode, JobOutcome, JobPhase, type Hex } from "@skynet/protocol";
import { z } from "zod";

// What the index answers. The input side is the JSON of the API; parsing it gives bigints and cleaned texts, because an
// index is a stranger for its clients as well.

const asHex = (text: string): Hex => text as Hex;
export const hash = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/)
  .describe("32 bytes")
  .transform(asHex);
export const address = z
  .string()
  .regex(/^0x[0-9a-f]{40}$/)
  .describe("lower-case address")
  .transform(asHex);
const bytes = z
  .string()
  .regex(/^0x([0-9a-f]{2})*$/)
  .transform(asHex);
const amount = z
  .string()
  .regex(/^[0-9]{1,78}$/)
  .describe("units of the token, decimal")
  .transform(BigInt);
const count = z.number().int().min(0);
const text = (longest: number) => z.string().transform((value) => cleanText(value, longest));
const name = text(120).nullable().describe("as the metadata says; null when they say none or cannot be read");

const names = <Name extends string>(table: Readonly<Record<Name, number>>) =>
  z.enum(Object.keys(table) as [Name, ...Name[]]);
export const phaseName = names(JobPhase);
export const outcomeName = names(JobOutcome);
export const modeName = z.enum(["quorum", "proof"]);
export const modeNumber = { quorum: JobMode.QUORUM, proof: JobMode.PROOF } as const;

const token = z.object({
  address,
  symbol: text(16).nullable().describe("null when the token does not say"),
  decimals: z.number().int().min(0).max(36).nullable(),
});
export type IndexedToken = z.output<typeof token>;

export const jobItem = z.object({
  id: hash,
  block: count.describe("of the post"),
  transaction: hash,
  requester: address,
  name,
  mode: modeName,
  zeroKnowledge: z.boolean().describe("proven, and the metadata do not say that proofs show the data"),
  phase: phaseName,
  outcome: outcomeName,
  stopping: z.boolean(),
  rounds: count,
  round: count.describe("that runs, or number of finished rounds"),
  seats: count,
  workers: z.array(address).max(256).describe("in the order of the seats"),
  token,
  priceMin: amount,
  priceMax: amount.describe("the price rises to it until the seats are taken"),
  stake: amount.describe("per seat"),
  price: amount.describe("per worker and round; 0 until the seats are assigned"),
  budget: amount,
  paid: amount.describe("claims, released holds and merge fees"),
  refunded: amount,
  burned: amount.describe("held pay that a complaint burned"),
  modelId: hash.describe("newest weights"),
  verifierId: hash,
  dataRoot: hash,
});
export type IndexedJob = z.output<typeof jobItem>;

export const jobDetail = jobItem.extend({
  terms: z.record(z.string(), z.union([z.string(), z.number()])).describe("as posted; amounts decimal"),
  meta: bytes.nullable().describe("its keccak256 is terms.metaHash; null when longer than 16 KiB"),
  metaBytes: count,
});
export type IndexedJobDetail = z.output<typeof jobDetail>;

export const workerItem = z.object({
  address,
  block: count.describe("of the registration"),
  payout: address,
  publicKey: bytes.describe("uncompressed secp256k1 key without 04"),
  epoch: count,
  name,
  capabilities: bytes.describe("what the worker says of itself; nobody has checked it"),
  jobs: count.describe("seats it has taken"),
  penalties: count.describe("missed commits and failed audits that cost stake"),
  stakes: z.array(z.object({ token, free: amount, locked: amount, leaving: amount })).max(50),
});
export type IndexedWorker = z.output<typeof workerItem>;

export const verifierItem = z.object({
  id: hash,
  block: count,
  address,
  registrar: address,
  kind: z.enum(["step", "inference"]),
  circuitHash: hash,
  srsHash: hash,
  weightsTag: hash,
  weightBlocks: count,
  source: text(200).describe("where the model can be fetched, says the registrar"),
});
export type IndexedVerifier = z.output<typeof verifierItem>;

const metadata = bytes.describe("as published by a stranger");

export const listingItem = z.object({
  id: hash,
  block: count,
  transaction: hash,
  seller: address,
  kind: z.enum(["data", "model"]),
  name,
  description: text(2_000),
  licence: count,
  active: z.boolean(),
  token,
  price: amount.describe("0: free for everybody"),
  bond: amount.describe("what no open order has reserved"),
  contentRoot: hash.describe("data: root over the batches; model: id of the weights"),
  keyCommit: hash,
  aux: hash.describe("data: number of batches and shape; model: hash of the circuit"),
  cid: text(128),
  cidHash: hash,
  meta: metadata,
  card: text(100).nullable().describe("data: CID of the data card, which the seller's node serves; null without one"),
  orders: z.object({
    open: count,
    paid: count,
    refunded: count,
    wrongKeys: count.describe("buyers who showed that the delivered key was wrong"),
  }),
});
export type IndexedListing = z.output<typeof listingItem>;

export const offerItem = z.object({
  id: hash,
  block: count,
  transaction: hash,
  host: address,
  name,
  description: text(2_000),
  active: z.boolean(),
  token,
  price: amount.describe("of one answer"),
  maxLatency: count.describe("seconds, after which an order is refunded"),
  modelId: hash,
  verifierId: hash,
  outputTag: hash,
  meta: metadata,
  orders: z.object({ open: count, answered: count, refunded: count }),
});
export type IndexedOffer = z.output<typeof offerItem>;

export const statusItem = z.object({
  chainId: count,
  contracts: z.record(z.string(), address),
  block: z.object({ number: count, hash }).nullable().describe("newest block in the index"),
  head: count.describe("newest block of the chain"),
  caughtUp: z.boolean(),
  reorgs: count.describe("reorganisations undone since the start"),
  trouble: text(300).nullable().describe("why the chain cannot be read at present"),
  counts: z.record(z.string(), count),
});
export type IndexStatus = z.output<typeof statusItem>;

export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({
    items: z.array(item).max(200),
    next: z.string().max(64).nullable().describe("cursor of the next page; null on the last one"),
  });

export const errorItem = z.object({
  error: z.object({ code: text(60), message: text(300), hint: text(300).optional() }),
});

/** What the server sends of an item. */
export type Sent<Item extends z.ZodType> = z.input<Item>;
