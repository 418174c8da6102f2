import { inferenceBoardAbi, InferenceState } from "@skynet/contracts";
import { fromHex } from "@skynet/protocol";
import { readMetadata } from "./metadata.ts";
import { defineSource, lower, searchText, type Writer } from "./source.ts";

const tables = [
  {
    name: "offers",
    searchable: true,
    definition: `
CREATE TABLE offers (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, block INTEGER NOT NULL, tx TEXT NOT NULL, host TEXT NOT NULL,
  model TEXT NOT NULL, verifier TEXT NOT NULL, output_tag TEXT NOT NULL, token TEXT NOT NULL, price TEXT NOT NULL,
  max_latency INTEGER NOT NULL, active INTEGER NOT NULL, name TEXT, description TEXT NOT NULL, meta BLOB NOT NULL,
  search TEXT NOT NULL) STRICT;
CREATE INDEX offers_host ON offers(host, position);
CREATE INDEX offers_model ON offers(model, position);`,
  },
  {
    name: "requests",
    definition: `
CREATE TABLE requests (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, offer TEXT NOT NULL, requester TEXT NOT NULL,
  state INTEGER NOT NULL) STRICT;
CREATE INDEX requests_offer ON requests(offer, state);`,
  },
] as const;

const setState = (writer: Writer, order: string, state: number) =>
  writer.run("UPDATE requests SET state = ? WHERE id = ?", state, order);

/** Offers of proven answers, and what became of their orders. */
export const inferenceBoard = defineSource({
  name: "inferenceBoard",
  tables,
  abi: inferenceBoardAbi,
  address: (all) => all.inferenceBoard,
  on: (writer, { eventName, args }, { block, transaction }) => {
    switch (eventName) {
      case "Offered": {
        const { offerId: id, terms } = args;
        const [host, token, meta] = [lower(args.host), lower(terms.token), lower(terms.meta)];
        const { name, description, words } = readMetadata(meta);
        writer.token(token);
        return writer.insert("offers", {
          id,
          block,
          tx: transaction,
          host,
          model: terms.modelId,
          verifier: terms.verifierId,
          output_tag: terms.outputTag,
          token,
          price: terms.price.toString(),
          max_latency: terms.maxLatency,
          active: 1,
          name,
          description,
          meta: fromHex(meta),
          search: searchText(id, host, terms.modelId, words),
        });
      }
      case "OfferPriceSet":
        return writer.run("UPDATE offers SET price = ? WHERE id = ?", args.price.toString(), args.offerId);
      case "OfferClosed":
        return writer.run("UPDATE offers SET active = 0 WHERE id = ?", args.offerId);
      case "Requested": {
        const { orderId: id, offerId: offer } = args;
        const requester = lower(args.requester);
        return writer.insert("requests", { id, offer, requester, state: InferenceState.OPEN });
      }
      case "Answered":
        return setState(writer, args.orderId, InferenceState.PAID);
      case "Refunded":
        return setState(writer, args.orderId, InferenceState.REFUNDED);
      default:
        return undefined;
    }
  },
});
