import { answerContext, fromHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { concat, keccak256, zeroAddress, zeroHash } from "viem";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Table } from "./journal.ts";
import { accountOf } from "./ledger-model.ts";
import type { LedgerModel } from "./ledger-model.ts";
import type { VerifierModel } from "./verifier-model.ts";
import { answerOf, callOf, hashText, hashWords } from "./words.ts";

export interface OfferArgument {
  readonly modelId: Hex;
  readonly verifierId: Hex;
  readonly outputTag: Hex;
  readonly token: Hex;
  readonly price: bigint;
  readonly maxLatency: number;
  readonly meta: Hex;
}

export interface Offer extends OfferArgument {
  readonly host: Hex;
  readonly since: number;
  readonly active: boolean;
}

export const Request = { NONE: 0, OPEN: 1, PAID: 2, REFUNDED: 3 } as const;

export interface InferenceOrder {
  readonly offerId: Hex;
  readonly requester: Hex;
  readonly at: number;
  readonly state: number;
  readonly price: bigint;
  readonly xId: Hex;
}

const OFFER_TAG = hashText("skynet/1/offer");
const REQUEST_TAG = hashText("skynet/1/request");
const INFER = 2;
const WEEK_SECONDS = 604_800;
const NO_OFFER: Offer = {
  modelId: zeroHash,
  verifierId: zeroHash,
  outputTag: zeroHash,
  token: zeroAddress,
  price: 0n,
  maxLatency: 0,
  meta: "0x",
  host: zeroAddress,
  since: 0,
  active: false,
};
const NO_ORDER: InferenceOrder = {
  offerId: zeroHash,
  requester: zeroAddress,
  at: 0,
  state: Request.NONE,
  price: 0n,
  xId: zeroHash,
};
const bytesOf = (hex: Hex) => (hex.length - 2) / 2;

/** Twin of `InferenceBoard.sol`. */
export class InferenceModel {
  readonly nonces: Table<bigint>;
  readonly offers: Table<Offer>;
  readonly orders: Table<InferenceOrder>;
  /** Ids in the order of their making. */
  readonly offered: Hex[] = [];
  readonly requested: Hex[] = [];
  readonly #env: Environment;
  readonly #ledger: LedgerModel;
  readonly #verifiers: VerifierModel;

  constructor(env: Environment, journal: Journal, ledger: LedgerModel, verifiers: VerifierModel) {
    this.#env = env;
    this.#ledger = ledger;
    this.#verifiers = verifiers;
    const to = env.addresses.inferenceBoard;
    this.nonces = new Table(journal, "inference nonces", 0n, ([owner], nonce) => ({
      to,
      data: callOf("nonces(address)", owner as Hex),
      answer: answerOf(nonce),
    }));
    this.offers = new Table(journal, "offers", NO_OFFER, ([id], o) => {
      const ids = [o.modelId, o.verifierId, o.outputTag] as const;
      const answer = answerOf(o.host, o.since, o.maxLatency, o.active, o.token, o.price, ...ids);
      return { to, data: callOf("offerOf(bytes32)", id as Hex), answer };
    });
    this.orders = new Table(journal, "inference orders", NO_ORDER, ([id], o) => ({
      to,
      data: callOf("order(bytes32)", id as Hex),
      answer: answerOf(o.offerId, o.requester, o.at, o.state, o.price, o.xId),
    }));
  }

  readonly calls = {
    offer: (from: Hex, terms: OfferArgument): void => this.#offer(from, terms),
    setPrice: (from: Hex, id: Hex, price: bigint): void => {
      const offer = this.#ownOffer(from, id);
      need(price === 0n || this.#env.hasCode(offer.token), "NotToken");
      this.offers.set([id], { ...offer, price });
    },
    close: (from: Hex, id: Hex): void => this.offers.set([id], { ...this.#ownOffer(from, id), active: false }),
    request: (from: Hex, offerId: Hex, maxPrice: bigint, xId: Hex, xRef: Hex): void => {
      const { active, price, token } = this.offers.get(offerId);
      need(active, "NotActive");
      need(price <= maxPrice, "PriceChanged", price);
      need(xId !== zeroHash, "BadInput");
      need(bytesOf(xRef) <= 1024, "ReferenceTooLong");
      const place = [REQUEST_TAG, this.#env.chainId, this.#env.addresses.inferenceBoard, offerId, from] as const;
      const id = hashWords(...place, this.#nonce(from), xId, keccak256(xRef));
      this.orders.set([id], { offerId, requester: from, at: this.#env.now, state: Request.OPEN, price, xId });
      this.#ledger.move(token, accountOf(from), this.#env.escrow("inferenceBoard", id), price);
      this.requested.push(id);
    },
    answer: (_: Hex, id: Hex, z: Hex, proof: Hex): void => {
      const order = this.#needOpen(id);
      const offer = this.offers.get(order.offerId);
      need(this.#env.now < order.at + offer.maxLatency, "TooLate");
      need(bytesOf(z) > 0 && bytesOf(z) <= 1024, "BadAnswer");
      const { context, idOut } = this.statement(id, z);
      const { verifierId, modelId } = offer;
      need(this.#verifiers.verify(verifierId, context, modelId, idOut, order.xId, proof), "AnswerRejected");
      this.#close(id, Request.PAID, offer.host);
    },
    tick: (_: Hex, id: Hex): void => {
      const order = this.#needOpen(id);
      need(this.#env.now >= order.at + this.offers.get(order.offerId).maxLatency, "TooEarly");
      this.#close(id, Request.REFUNDED, order.requester);
    },
  };

  /** What a proof of the answer is made for. */
  statement(orderId: Hex, z: Hex): { context: Hex; idOut: Hex } {
    const { offerId, xId } = this.orders.get(orderId);
    const { verifierId, modelId, host, outputTag } = this.offers.get(offerId);
    const { chainId, addresses } = this.#env;
    const place = { chainId, inferenceBoard: addresses.inferenceBoard, orderId, verifierId };
    const context = answerContext({ ...place, modelId, xId, z: fromHex(z), host });
    return { context, idOut: keccak256(concat([outputTag, z])) };
  }

  #nonce(owner: Hex): bigint {
    const nonce = this.nonces.get(owner);
    this.nonces.set([owner], nonce + 1n);
    return nonce;
  }

  #offer(from: Hex, terms: OfferArgument): void {
    const { modelId, verifierId, outputTag, token, price, maxLatency, meta } = terms;
    need(modelId !== zeroHash, "BadModel");
    const kind = this.#verifiers.entries.get(verifierId)?.kind;
    need(this.#verifiers.isLive(verifierId) && kind === INFER, "BadVerifier");
    need(maxLatency > 0 && maxLatency <= WEEK_SECONDS, "BadLatency");
    need(bytesOf(meta) <= 4096, "MetaTooLong");
    need(price === 0n || this.#env.hasCode(token), "NotToken");
    const place = [OFFER_TAG, this.#env.chainId, this.#env.addresses.inferenceBoard, from, this.#nonce(from)] as const;
    const id = hashWords(...place, modelId, verifierId, outputTag, token, maxLatency);
    this.offers.set([id], { ...terms, host: from, since: this.#env.block, active: true });
    this.offered.push(id);
  }

  #ownOffer(from: Hex, id: Hex): Offer {
    const offer = this.offers.get(id);
    need(offer.active, "NotActive");
    need(from === offer.host, "NotHost");
    return offer;
  }

  #needOpen(id: Hex): InferenceOrder {
    const order = this.orders.get(id);
    need(order.state === Request.OPEN, "WrongState", order.state);
    return order;
  }

  #close(id: Hex, state: number, payee: Hex): void {
    const order = this.orders.get(id);
    this.orders.set([id], { ...order, state });
    const { token } = this.offers.get(order.offerId);
    this.#ledger.move(token, this.#env.escrow("inferenceBoard", id), accountOf(payee), order.price);
  }
}
