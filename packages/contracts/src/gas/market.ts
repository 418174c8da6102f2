// Gas of listings, purchases and answers.
import { toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { deliveryPoint } from "../key-delivery.ts";
import type { Chain } from "../chain/types.ts";
import type { TestChain } from "../test-chain.ts";
import {
  answerOf,
  buyerSecret,
  hash,
  inferenceDescription,
  listingTerms,
  offerTerms,
  rightDelivery,
  wrongDelivery,
} from "../test-market.ts";
import { yesVerifier } from "./accounts.ts";
import type { GasMeter } from "./meter.ts";

/** Party 0 sells, party 1 buys; both have money in the Ledger. */
export async function measureMarket(chain: TestChain, meter: GasMeter): Promise<void> {
  await measureCatalog(chain, meter);
  await measureInference(chain, meter);
}

async function measureCatalog(chain: TestChain, meter: GasMeter): Promise<void> {
  const [seller, buyer] = chain.parties as [Chain, Chain];
  const { catalog } = buyer;
  const largest = { cid: "b".repeat(128), meta: `0x${"ab".repeat(4096)}` as Hex };
  meter.note("Catalog.list", "longest CID, 4 KiB", (await seller.catalog.list(listingTerms(seller, largest))).receipt);
  const { listingId, receipt } = await seller.catalog.list(listingTerms(seller));
  meter.note("Catalog.list", "short CID, with bond", receipt);
  await meter.take("Catalog.setPrice", "one call", seller.catalog.setPrice(listingId, 90n));
  const buy = () => catalog.buy(listingId, 100n, deliveryPoint(buyerSecret));
  const first = await buy();
  meter.note("Catalog.buy", "the buyer's first purchase, reserves a part of the bond", first.receipt);
  const second = await buy();
  meter.note("Catalog.buy", "later ones", second.receipt);
  const orders = [first.orderId, second.orderId, (await buy()).orderId, (await buy()).orderId] as const;
  const deliver = (orderId: Hex, delivery = rightDelivery()) => seller.catalog.deliver(orderId, delivery);
  await meter.take("Catalog.deliver", "one call", deliver(orders[0]));
  await deliver(orders[1], wrongDelivery());
  await meter.take("Catalog.complain", "the key was wrong", catalog.complain(orders[1], buyerSecret));
  await chain.advance(30);
  await meter.take("Catalog.cancel", "one call", catalog.cancel(orders[2]));
  await meter.take("Catalog.tick", "pays the seller", catalog.tick(orders[0]));
  await chain.advance(30);
  await meter.take("Catalog.deactivate", "returns the bond", seller.catalog.deactivate(listingId));
  await meter.take("Catalog.tick", "refunds, the listing has ended", catalog.tick(orders[3]));
}

async function measureInference(chain: TestChain, meter: GasMeter): Promise<void> {
  const [host, requester] = chain.parties as [Chain, Chain];
  const { inference } = host;
  const { verifierId } = await host.deployVerifier(
    { ...inferenceDescription, circuitHash: hash("yes") },
    yesVerifier(32),
  );
  const terms = { ...(await offerTerms(host)), verifierId };
  const largest = await inference.offer({ ...terms, meta: `0x${"ab".repeat(4096)}` });
  meter.note("InferenceBoard.offer", "4 KiB of metadata", largest.receipt);
  const { offerId } = largest;
  const input = { xId: hash("input"), xRef: new Uint8Array(1024).fill(7) };
  const request = async (xRef: Uint8Array) => requester.inference.request(offerId, 40n, { ...input, xRef });
  const [long, short] = [await request(input.xRef), await request(new Uint8Array(36).fill(7))];
  meter.note("InferenceBoard.request", "reference of 1 KiB", long.receipt);
  meter.note("InferenceBoard.request", "reference of 36 bytes", short.receipt);
  const z = answerOf(Array.from({ length: 10 }, (_, i) => BigInt(i)));
  const proof = toHex(new Uint8Array(12_000).fill(0xa5));
  const nothing = inference.answer(long.orderId, new Uint8Array(1024).fill(7), "0x");
  await meter.take("InferenceBoard.answer", "1 KiB, own part: no proof, no verifier", nothing);
  const own = inference.answer(short.orderId, z, proof);
  await meter.take("InferenceBoard.answer", "10 logits, 12 kB of proof, no verifier", own);
  const late = await request(input.xRef);
  await meter.take("InferenceBoard.setPrice", "one call", inference.setPrice(offerId, 41n));
  await meter.take("InferenceBoard.close", "one call", inference.close(offerId));
  await chain.advance(100);
  await meter.take("InferenceBoard.tick", "refunds", inference.tick(late.orderId));
}
