import { InferenceState } from "@skynet/contracts";
import type { offerItem, Sent } from "../schemas.ts";
import type { Row, Rows } from "../store/rows.ts";
import { countOrders, hexOf, num, str, strOrNull, TOKEN_COLUMNS, TOKEN_JOIN, tokenOf } from "./columns.ts";
import { equal, listPage, prefixed, where, type Page, type PageQuery } from "./list.ts";

export interface OfferQuery extends PageQuery {
  readonly prefix?: string | undefined;
  readonly host?: string | undefined;
  readonly model?: string | undefined;
  readonly verifier?: string | undefined;
  readonly token?: string | undefined;
  readonly active?: boolean | undefined;
}

const COLUMNS = `t.id, t.block, t.tx, t.host, t.model, t.verifier, t.output_tag, t.price, t.max_latency, t.active, t.name,
  t.description, t.meta, ${TOKEN_COLUMNS}`;

function itemOf(reader: Rows, row: Row): Sent<typeof offerItem> {
  const id = str(row, "id");
  const orders = countOrders(reader, "requests", "offer", id);
  return {
    id,
    block: num(row, "block"),
    transaction: str(row, "tx"),
    host: str(row, "host"),
    name: strOrNull(row, "name"),
    description: str(row, "description"),
    active: row.active === 1,
    token: tokenOf(row),
    price: str(row, "price"),
    maxLatency: num(row, "max_latency"),
    modelId: str(row, "model"),
    verifierId: str(row, "verifier"),
    outputTag: str(row, "output_tag"),
    meta: hexOf(row, "meta"),
    orders: {
      open: orders(InferenceState.OPEN),
      answered: orders(InferenceState.PAID),
      refunded: orders(InferenceState.REFUNDED),
    },
  };
}

export function listOffers(reader: Rows, query: OfferQuery): Page<Sent<typeof offerItem>> {
  const { prefix, host, model, verifier, token, active } = query;
  return listPage(reader, {
    ...query,
    table: "offers",
    columns: COLUMNS,
    joins: TOKEN_JOIN,
    conditions: [
      ...prefixed(prefix),
      ...equal("t.host", host),
      ...equal("t.model", model),
      ...equal("t.verifier", verifier),
      ...equal("t.token", token),
      ...(active === undefined ? [] : [where("t.active = ?", Number(active))]),
    ],
    item: (row) => itemOf(reader, row),
  });
}

export function findOffer(reader: Rows, id: string): Sent<typeof offerItem> | undefined {
  const row = reader.get(`SELECT ${COLUMNS} FROM offers t ${TOKEN_JOIN} WHERE t.id = ?`, id);
  return row === undefined ? undefined : itemOf(reader, row);
}
