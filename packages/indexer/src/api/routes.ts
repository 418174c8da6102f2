import { z } from "zod";
import { findJob, listJobs } from "../queries/jobs.ts";
import { findListing, listListings } from "../queries/listings.ts";
import { findOffer, listOffers } from "../queries/offers.ts";
import { findVerifier, listVerifiers } from "../queries/verifiers.ts";
import { findWorker, listWorkers } from "../queries/workers.ts";
import {
  jobDetail,
  jobItem,
  listingItem,
  modeName,
  offerItem,
  outcomeName,
  pageOf,
  phaseName,
  statusItem,
  verifierItem,
  workerItem,
  type Sent,
} from "../schemas.ts";
import type { Rows } from "../store/rows.ts";

type Fields = Readonly<Record<string, z.ZodType>>;
type Parsed<Shape extends Fields> = { readonly [Name in keyof Shape]: z.output<Shape[Name]> };

/** One path: what it takes, what it answers, and how. The OpenAPI description is made from it. */
export interface Route {
  /** With `{id}` for the last part, if it has a parameter. */
  readonly path: string;
  readonly summary: string;
  readonly id: z.ZodType | undefined;
  readonly query: Fields;
  readonly answer: z.ZodType;
  /** Undefined: there is no such thing. */
  handle(input: { readonly id: string; readonly query: Record<string, unknown> }): unknown;
}

const lower = (text: string) => text.toLowerCase();
const hashText = z
  .string()
  .regex(/^0x[0-9a-fA-F]{64}$/, "0x and 64 hexadecimal digits are needed")
  .transform(lower);
const addressText = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, "0x and 40 hexadecimal digits are needed")
  .transform(lower);
const prefix = z
  .string()
  .regex(/^0x[0-9a-fA-F]{0,64}$/, "0x and hexadecimal digits are needed")
  .transform(lower);
const flag = z.enum(["true", "false"]).transform((text) => text === "true");

const paging = {
  q: z.string().min(1).max(200).optional().describe("words to search for; each may be the beginning of one"),
  cursor: z.string().min(1).max(64).optional().describe("`next` of the page before"),
  limit: z
    .string()
    .regex(/^([1-9][0-9]?|1[0-9]{2}|200)$/, "a whole number from 1 to 200 is needed")
    .transform(Number)
    .default(50)
    .describe("entries of a page, 1 to 200; a page may have fewer"),
};

function listRoute<Shape extends Fields, Item extends z.ZodType>(route: {
  path: string;
  summary: string;
  query: Shape;
  item: Item;
  list(query: Parsed<Shape>): { readonly items: readonly Sent<Item>[]; readonly next: string | null };
}): Route {
  const { path, summary, query, item, list } = route;
  return {
    path,
    summary,
    id: undefined,
    query,
    answer: pageOf(item),
    handle: (input) => list(input.query as Parsed<Shape>),
  };
}

function itemRoute<Item extends z.ZodType>(route: {
  path: string;
  summary: string;
  id: z.ZodType;
  item: Item;
  find(id: string): Sent<Item> | undefined;
}): Route {
  const { path, summary, id, item, find } = route;
  return { path, summary, id, query: {}, answer: item, handle: (input) => find(input.id) };
}

export function createRoutes(reader: Rows, status: () => Sent<typeof statusItem>): Route[] {
  return [
    {
      path: "/v1/status",
      summary: "Which chain the index follows, and how far it is",
      id: undefined,
      query: {},
      answer: statusItem,
      handle: status,
    },
    ...jobRoutes(reader),
    ...marketRoutes(reader),
    ...registryRoutes(reader),
  ];
}

function jobRoutes(reader: Rows): Route[] {
  return [
    listRoute({
      path: "/v1/jobs",
      summary: "Jobs, newest first",
      query: {
        ...paging,
        prefix: prefix.optional().describe("first digits of the id"),
        phase: phaseName.optional(),
        outcome: outcomeName.optional(),
        mode: modeName.optional(),
        active: flag.optional().describe("false: settled jobs; true: the others"),
        requester: addressText.optional(),
        worker: addressText.optional().describe("jobs in which it has a seat"),
        token: addressText.optional(),
      },
      item: jobItem,
      list: (query) => listJobs(reader, query),
    }),
    itemRoute({
      path: "/v1/jobs/{id}",
      summary: "A job with its terms and metadata",
      id: hashText,
      item: jobDetail,
      find: (id) => findJob(reader, id),
    }),
  ];
}

function marketRoutes(reader: Rows): Route[] {
  return [
    listRoute({
      path: "/v1/listings",
      summary: "Data and models that are, or were, for sale, newest first",
      query: {
        ...paging,
        prefix: prefix.optional().describe("first digits of the id"),
        kind: z.enum(["data", "model"]).optional(),
        seller: addressText.optional(),
        token: addressText.optional(),
        active: flag.optional().describe("true: can be bought now"),
        content: hashText.optional().describe("root of the data, or id of the weights"),
      },
      item: listingItem,
      list: (query) => listListings(reader, query),
    }),
    itemRoute({
      path: "/v1/listings/{id}",
      summary: "A listing",
      id: hashText,
      item: listingItem,
      find: (id) => findListing(reader, id),
    }),
    listRoute({
      path: "/v1/offers",
      summary: "Offers of proven answers of models, newest first",
      query: {
        ...paging,
        prefix: prefix.optional().describe("first digits of the id"),
        host: addressText.optional(),
        model: hashText.optional().describe("id of the weights"),
        verifier: hashText.optional(),
        token: addressText.optional(),
        active: flag.optional().describe("true: takes requests now"),
      },
      item: offerItem,
      list: (query) => listOffers(reader, query),
    }),
    itemRoute({
      path: "/v1/offers/{id}",
      summary: "An offer",
      id: hashText,
      item: offerItem,
      find: (id) => findOffer(reader, id),
    }),
  ];
}

function registryRoutes(reader: Rows): Route[] {
  return [
    listRoute({
      path: "/v1/workers",
      summary: "Registered workers, newest first",
      query: {
        ...paging,
        token: addressText.optional().describe("workers that ever had stake in it"),
        payout: addressText.optional(),
      },
      item: workerItem,
      list: (query) => listWorkers(reader, query),
    }),
    itemRoute({
      path: "/v1/workers/{id}",
      summary: "A worker by its address",
      id: addressText,
      item: workerItem,
      find: (id) => findWorker(reader, id),
    }),
    listRoute({
      path: "/v1/verifiers",
      summary: "Registered verifier contracts, newest first",
      query: { ...paging, kind: z.enum(["step", "inference"]).optional(), circuit: hashText.optional() },
      item: verifierItem,
      list: (query) => listVerifiers(reader, query),
    }),
    itemRoute({
      path: "/v1/verifiers/{id}",
      summary: "A verifier",
      id: hashText,
      item: verifierItem,
      find: (id) => findVerifier(reader, id),
    }),
  ];
}
