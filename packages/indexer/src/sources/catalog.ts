import { catalogAbi, PurchaseState } from "@skynet/contracts";
import { cleanText, fromHex, keccak256, toHex } from "@skynet/protocol";
import { readMetadata } from "./metadata.ts";
import { defineSource, lower, searchText, type Writer } from "./source.ts";

const tables = [
  {
    name: "listings",
    searchable: true,
    definition: `
CREATE TABLE listings (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, block INTEGER NOT NULL, tx TEXT NOT NULL, seller TEXT NOT NULL,
  kind INTEGER NOT NULL, licence INTEGER NOT NULL, token TEXT NOT NULL, price TEXT NOT NULL, bond TEXT NOT NULL,
  active INTEGER NOT NULL, content_root TEXT NOT NULL, key_commit TEXT NOT NULL, aux TEXT NOT NULL, cid TEXT NOT NULL,
  cid_hash TEXT NOT NULL, name TEXT, description TEXT NOT NULL, meta BLOB NOT NULL, search TEXT NOT NULL) STRICT;
CREATE INDEX listings_seller ON listings(seller, position);
CREATE INDEX listings_content ON listings(content_root, position);`,
  },
  {
    name: "purchases",
    definition: `
CREATE TABLE purchases (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, listing TEXT NOT NULL, buyer TEXT NOT NULL,
  state INTEGER NOT NULL, share TEXT NOT NULL, wrong_key INTEGER NOT NULL) STRICT;
CREATE INDEX purchases_listing ON purchases(listing, state);`,
  },
] as const;

const setState = (writer: Writer, order: string, state: number) =>
  writer.run("UPDATE purchases SET state = ? WHERE id = ?", state, order);

function addBond(writer: Writer, listing: string, amount: bigint): void {
  const row = writer.get("SELECT bond FROM listings WHERE id = ? AND active = 1", listing);
  if (row === undefined) return;
  writer.run("UPDATE listings SET bond = ? WHERE id = ?", (BigInt(String(row.bond)) + amount).toString(), listing);
}

/** What an order had reserved of the bond backs the next one, unless the seller sells no more. */
function endOrder(writer: Writer, order: string, listing: string, state: number): void {
  const row = writer.get("SELECT share FROM purchases WHERE id = ?", order);
  if (row !== undefined) addBond(writer, listing, BigInt(String(row.share)));
  writer.run("UPDATE purchases SET state = ?, share = '0' WHERE id = ?", state, order);
}

/** Listings of data and models, and what became of their orders. */
export const catalog = defineSource({
  name: "catalog",
  tables,
  abi: catalogAbi,
  address: (all) => all.catalog,
  on: (writer, { eventName, args }, { block, transaction }) => {
    switch (eventName) {
      case "Listed": {
        const { listingId: id, terms } = args;
        const [seller, token, meta] = [lower(args.seller), lower(terms.token), lower(terms.meta)];
        const { name, description, words } = readMetadata(meta);
        writer.token(token);
        return writer.insert("listings", {
          id,
          block,
          tx: transaction,
          seller,
          kind: terms.kind,
          licence: terms.licence,
          token,
          price: terms.price.toString(),
          bond: terms.bond.toString(),
          active: 1,
          content_root: terms.contentRoot,
          key_commit: terms.keyCommit,
          aux: terms.aux,
          cid: cleanText(terms.cid, 128),
          cid_hash: toHex(keccak256(new TextEncoder().encode(terms.cid))),
          name,
          description,
          meta: fromHex(meta),
          search: searchText(id, seller, terms.contentRoot, terms.cid, words),
        });
      }
      case "PriceSet":
        return writer.run("UPDATE listings SET price = ? WHERE id = ?", args.price.toString(), args.listingId);
      case "Deactivated":
        return writer.run("UPDATE listings SET active = 0, bond = '0' WHERE id = ?", args.listingId);
      case "Bought": {
        const { orderId: id, listingId: listing, share } = args;
        const buyer = lower(args.buyer);
        const state = PurchaseState.NEW;
        writer.insert("purchases", { id, listing, buyer, state, share: share.toString(), wrong_key: 0 });
        return addBond(writer, listing, -share);
      }
      case "Delivered":
        return setState(writer, args.orderId, PurchaseState.DELIVERED);
      case "Complained":
        return writer.run("UPDATE purchases SET share = '0', wrong_key = 1 WHERE id = ?", args.orderId);
      case "Refunded":
        return endOrder(writer, args.orderId, args.listingId, PurchaseState.REFUNDED);
      case "Paid":
        return endOrder(writer, args.orderId, args.listingId, PurchaseState.PAID);
      default:
        return undefined;
    }
  },
});
