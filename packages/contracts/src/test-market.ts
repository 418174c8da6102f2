import type { Hex } from "@skynet/protocol";
import { answerContext, VerifierKind } from "@skynet/protocol";
import { concat, encodeAbiParameters, keccak256, stringToHex, toHex } from "viem";
import type { Chain } from "./chain/types.ts";
import { ListingKind } from "./chain/market-types.ts";
import type { ListingTerms, OfferTerms } from "./chain/market-types.ts";
import { deliveryPoint, keyCommitOf, sealKey } from "./key-delivery.ts";
import { proofFor, verifierDescription, verifierInitcode } from "./test-proof-job.ts";

export const hash = (text: string): Hex => keccak256(stringToHex(text));

/** 32 bytes that a listing of the tests sells. */
export const listingKey = Buffer.from(hash("the key of the listing").slice(2), "hex");
const otherKey = Buffer.from(hash("not the key of the listing").slice(2), "hex");

/** Data for 100 units, with a bond of 250. */
export function listingTerms({ addresses }: Chain, change: Partial<ListingTerms> = {}): ListingTerms {
  return {
    kind: ListingKind.DATA,
    licence: 7,
    token: addresses.testToken,
    price: 100n,
    bond: 250n,
    contentRoot: hash("content"),
    keyCommit: keyCommitOf(listingKey),
    aux: hash("shape"),
    cid: "bafylisting",
    meta: stringToHex('{"name":"a listing"}'),
    ...change,
  };
}

/** Secrets of purchases are small here, so that they can be told apart; nobody hides anything. */
export const buyerSecret = 12_345n;
export const sellerSecret = 67_890n;

/** What an honest seller sends for this secret of a buyer, and what one sends that cheats. */
export const rightDelivery = (secret = buyerSecret) => sealKey(listingKey, deliveryPoint(secret), sellerSecret);
export const wrongDelivery = (secret = buyerSecret) => sealKey(otherKey, deliveryPoint(secret), sellerSecret);

/** A listing of `seller` and a purchase by `buyer`. */
export async function buyListing(seller: Chain, buyer: Chain, change: Partial<ListingTerms> = {}) {
  const { listingId } = await seller.catalog.list(listingTerms(seller, change));
  const { orderId } = await buyer.catalog.buy(listingId, 100n, deliveryPoint(buyerSecret));
  return { listingId, orderId };
}

export const inferenceDescription = { ...verifierDescription, kind: VerifierKind.INFER };

/** An offer of 40 units for an answer within 100 seconds; its verifier takes the hash of the statement for a proof. */
export async function offerTerms(host: Chain, change: Partial<OfferTerms> = {}): Promise<OfferTerms> {
  const { verifierId } = await host.deployVerifier(inferenceDescription, verifierInitcode);
  return {
    modelId: hash("model"),
    verifierId,
    outputTag: hash("output tag"),
    token: host.addresses.testToken,
    price: 40n,
    maxLatency: 100,
    meta: stringToHex('{"name":"a model"}'),
    ...change,
  };
}

export const answerOf = (values: readonly bigint[]): Uint8Array =>
  Buffer.from(
    encodeAbiParameters(
      values.map(() => ({ type: "uint256" })),
      values,
    ).slice(2),
    "hex",
  );

export interface AnsweredOrder {
  readonly orderId: Hex;
  readonly host: Hex;
  readonly terms: OfferTerms;
  readonly xId: Hex;
}

/** The proof that the test verifier takes for an answer, computed without the chain. */
export function answerProof(chain: Chain, order: AnsweredOrder, z: Uint8Array): Hex {
  const { orderId, host, terms, xId } = order;
  const { chainId, addresses } = chain;
  const { verifierId, modelId, outputTag } = terms;
  const place = { chainId, inferenceBoard: addresses.inferenceBoard, orderId, verifierId };
  const context = answerContext({ ...place, modelId, xId, z, host });
  return proofFor(context, modelId, keccak256(concat([outputTag, toHex(z)])), xId);
}

const FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
/** Points that neither side of a purchase may name. */
export const badPoints = {
  infinity: { x: 0n, y: 0n },
  "a point beside the curve": { x: 1n, y: 3n },
  "a coordinate that is not reduced": { x: 1n + FIELD, y: 2n },
  "the largest words": { x: 2n ** 256n - 1n, y: 2n ** 256n - 1n },
};
