import { ListingKind, PurchaseState } from "@skynet/contracts";
import { cleanText, type Hex } from "@skynet/protocol";
import type { listingItem, Sent } from "../schemas.ts";
import { readMetadata } from "../sources/metadata.ts";
import type { Row, Rows } from "../store/rows.ts";
import { countOrders, hexOf, num, str, strOrNull, TOKEN_COLUMNS, TOKEN_JOIN, tokenOf } from "./columns.ts";
import { equal, listPage, prefixed, where, type Page, type PageQuery } from "./list.ts";

const kinds = { data: ListingKind.DATA, model: ListingKind.MODEL } as const;

export interface ListingQuery extends PageQuery {
  readonly prefix?: string | undefined;
  readonly kind?: keyof typeof kinds | undefined;
  readonly seller?: string | undefined;
  readonly token?: string | undefined;
  readonly active?: boolean | undefined;
  /** Root of the data, or id of the weights. */
  readonly content?: string | undefined;
}

const COLUMNS = `t.id, t.block, t.tx, t.seller, t.kind, t.licence, t.price, t.bond, t.active, t.content_root,
  t.key_commit, t.aux, t.cid, t.cid_hash, t.name, t.description, t.meta, ${TOKEN_COLUMNS}`;

function itemOf(reader: Rows, row: Row): Sent<typeof listingItem> {
  const id = str(row, "id");
  const orders = countOrders(reader, "purchases", "listing", id);
  const wrong = reader.get("SELECT count(*) AS n FROM purchases WHERE listing = ? AND wrong_key = 1", id)!;
  return {
    id,
    block: num(row, "block"),
    transaction: str(row, "tx"),
    seller: str(row, "seller"),
    kind: row.kind === ListingKind.DATA ? "data" : "model",
    name: strOrNull(row, "name"),
    description: str(row, "description"),
    licence: num(row, "licence"),
    active: row.active === 1,
    token: tokenOf(row),
    price: str(row, "price"),
    bond: str(row, "bond"),
    contentRoot: str(row, "content_root"),
    keyCommit: str(row, "key_commit"),
    aux: str(row, "aux"),
    cid: str(row, "cid"),
    cidHash: str(row, "cid_hash"),
    meta: hexOf(row, "meta"),
    card: row.kind === ListingKind.DATA ? cardOf(hexOf(row, "meta") as Hex) : null,
    orders: {
      open: orders(PurchaseState.NEW) + orders(PurchaseState.DELIVERED),
      paid: orders(PurchaseState.PAID),
      refunded: orders(PurchaseState.REFUNDED),
      wrongKeys: num(wrong, "n"),
    },
  };
}

/** As the seller says; whether there is such a block only the seller's node tells. */
function cardOf(meta: Hex): string | null {
  const { card } = readMetadata(meta).fields;
  return typeof card === "string" && card !== "" ? cleanText(card, 100) : null;
}

export function listListings(reader: Rows, query: ListingQuery): Page<Sent<typeof listingItem>> {
  const { prefix, kind, seller, token, active, content } = query;
  return listPage(reader, {
    ...query,
    table: "listings",
    columns: COLUMNS,
    joins: TOKEN_JOIN,
    conditions: [
      ...prefixed(prefix),
      ...(kind === undefined ? [] : [where("t.kind = ?", kinds[kind])]),
      ...equal("t.seller", seller),
      ...equal("t.token", token),
      ...equal("t.content_root", content),
      ...(active === undefined ? [] : [where("t.active = ?", Number(active))]),
    ],
    item: (row) => itemOf(reader, row),
  });
}

export function findListing(reader: Rows, id: string): Sent<typeof listingItem> | undefined {
  const row = reader.get(`SELECT ${COLUMNS} FROM listings t ${TOKEN_JOIN} WHERE t.id = ?`, id);
  return row === undefined ? undefined : itemOf(reader, row);
}
