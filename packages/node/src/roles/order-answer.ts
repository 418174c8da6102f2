// Buying the answer of a model: the input goes to the host sealed, the logits come back proven through the contract.
import { ChainError, InferenceState } from "@skynet/contracts";
import { publicKeyFromPeerId } from "@skynet/network";
import { decodeLogits, Rejection, type ProofSystem } from "@skynet/proof";
import { fromHex, keccak256, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { formatAmount, shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { answerVerifier, openAnswers } from "../market/answers.ts";
import { readOffer, type MarketOffer } from "../market/listings.ts";
import { loadAnswerOrder, saveAnswerOrder, type AnswerOrder } from "../market/purchase-files.ts";
import { readSample } from "../market/sample.ts";
import { sealInput } from "../market/sealed-input.ts";
import { systemClock } from "../runtime/clock.ts";
import { openNode, type LocalNode, type NodeOptions } from "./local-node.ts";
import { awaitPending } from "./pending.ts";
import { fundLedger, tokenInfo, parseAmount } from "./token.ts";

export interface AnswerOptions extends NodeOptions {
  readonly offerId: Hex;
  readonly input: string;
  /** Which row of a file of data, from 0. */
  readonly index: number;
  readonly maxPrice?: string | undefined;
  readonly ui: Ui;
}

export interface Answer {
  readonly orderId: Hex;
  readonly offerId: Hex;
  readonly modelId: Hex;
  readonly class: number;
  readonly logits: readonly number[];
  readonly paid: bigint;
}

const POLL_MS = 500;

/** Keeps the sealed input until the answer is here. */
const orderPin = (request: Hex): string => `order:${request}`;

/**
 * Orders an answer and waits for it; run again with the same input, it goes on where it stopped.
 * @throws SkyNetError `NotForSale`, `WrongVerifier`, `PriceTooHigh`, `InsufficientBalance`, `HostOffline` before anything
 * is paid; `NotAnswered` with the money back
 */
export async function runAnswerOrder(options: AnswerOptions): Promise<Answer> {
  const { threads = 2, referenceString, offerId, ui } = options;
  const node = await openNode(options, "buyer");
  try {
    const offer = await readOffer(node.chain, offerId);
    if (offer.metadata === undefined)
      throw new SkyNetError("BadMetadata", "what the offer says of its model cannot be read", {
        hint: "its host may run a newer version; nothing was paid",
      });
    ui.status("generating the verifier of the model");
    const place = { chainId: node.chain.chainId, threads, referenceString };
    const system = await openAnswers(offer.metadata.architecture, place);
    try {
      await checkOffer(system, offer);
      const x = await readSample(system.circuit.program, options.input, options.index);
      const orderId = await findOrRequest(node, system, offer, x, options);
      const answer = await awaitAnswer(node, system, offer, orderId, options);
      node.blocks.unpin(orderPin(requestOf(offer, x)));
      return answer;
    } finally {
      await system.close();
    }
  } finally {
    await node.close();
  }
}

/** Nobody else's word is taken for the verifier: with another one the proof would say nothing. */
async function checkOffer(system: ProofSystem, offer: MarketOffer): Promise<void> {
  const { verifierId } = await answerVerifier(system);
  if (verifierId !== offer.verifierId || toHex(system.key.outputTag) !== offer.outputTag)
    throw new SkyNetError("WrongVerifier", "the offer's verifier is not the one that this node generates", {
      hint: "nothing was paid: answers of this host would prove nothing; check --srs and that both sides run the same version",
    });
}

async function findOrRequest(
  node: LocalNode,
  system: ProofSystem,
  offer: MarketOffer,
  x: Int8Array,
  options: AnswerOptions,
): Promise<Hex> {
  const { dataDir, ui } = options;
  const request = requestOf(offer, x);
  await awaitPending(node.chain, ui, options.signal);
  const before = await loadAnswerOrder(dataDir, request);
  const open = before && (await findOrder(node, before));
  if (before && open) {
    ui.line(`resuming order ${shortId(open)}`);
    node.blocks.pin(orderPin(request), [before.cid]);
    node.access.open(before.cid);
    return open;
  }
  return requestAnswer(node, system, offer, { x, request }, options);
}

const requestOf = ({ offerId }: MarketOffer, x: Int8Array): Hex =>
  toHex(keccak256(fromHex(offerId), new Uint8Array(x.buffer, x.byteOffset, x.length)));

/** The order that names this input, unless it was refunded. */
async function findOrder({ chain }: LocalNode, { offerId, xId }: AnswerOrder): Promise<Hex | undefined> {
  for (const event of await chain.inference.events({ offerId })) {
    if (event.name !== "Requested" || event.args.xId !== xId || event.args.requester !== chain.address) continue;
    const { state } = await chain.inference.order(event.args.orderId);
    if (state !== InferenceState.REFUNDED) return event.args.orderId;
  }
  return undefined;
}

/** Checks everything that can be checked before money moves, then orders. */
async function requestAnswer(
  node: LocalNode,
  system: ProofSystem,
  offer: MarketOffer,
  { x, request }: { x: Int8Array; request: Hex },
  { dataDir, maxPrice, ui, signal }: AnswerOptions,
): Promise<Hex> {
  const { chain } = node;
  if (!offer.active)
    throw new SkyNetError("NotForSale", `the host of "${offer.name}" takes no more requests`, {
      hint: "npx skynet model list --answers shows what is for sale",
    });
  const info = await tokenInfo(chain.rpcUrl, offer.token);
  const most = maxPrice === undefined ? offer.price : parseAmount(maxPrice, info);
  if (offer.price > most)
    throw new SkyNetError("PriceTooHigh", `an answer costs ${formatAmount(offer.price, info)}`, {
      hint: "pay it with --max-price, or look for another host: npx skynet model list --answers",
    });
  ui.status("looking for the host");
  const hostKey = await hostKeyOf(node, offer, signal);
  await fundLedger(chain, offer.token, offer.price, signal);
  const commitment = await system.commitInput(x);
  const xId = system.batchId(commitment.points);
  const cid = await node.blocks.put(await sealInput(xId, { x, blinders: commitment.blinders }, hostKey));
  node.blocks.pin(orderPin(request), [cid]);
  await saveAnswerOrder(dataDir, request, { version: 1, offerId: offer.offerId, xId, cid });
  node.access.open(cid);
  const input = { xId, xRef: new TextEncoder().encode(cid) };
  const { orderId, price } = await chain.inference.request(offer.offerId, most, input, { signal });
  ui.line(`asked "${offer.name}", ${formatAmount(price, info)} in escrow until the proven answer is here`);
  ui.event("requested", { orderId, offerId: offer.offerId, price });
  return orderId;
}

/** A PeerId holds the public key. @throws SkyNetError `HostOffline` */
async function hostKeyOf({ host }: LocalNode, offer: MarketOffer, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const connection = await host.connect(offer.host, { signal });
    return publicKeyFromPeerId(connection.remotePeer);
  } catch (cause) {
    signal.throwIfAborted();
    throw new SkyNetError("HostOffline", `the host ${offer.host} does not answer now`, {
      cause,
      hint: "nothing was paid; try again later, or ask another host: npx skynet model list --answers",
    });
  }
}

async function awaitAnswer(
  { chain }: LocalNode,
  { circuit }: ProofSystem,
  { offerId, modelId, maxLatency, name }: MarketOffer,
  orderId: Hex,
  { ui, signal }: AnswerOptions,
): Promise<Answer> {
  for (;;) {
    signal.throwIfAborted();
    const { state, at, price } = await chain.inference.order(orderId);
    if (state === InferenceState.REFUNDED) throw notAnswered();
    if (state === InferenceState.PAID) {
      ui.progress(`Waiting for the answer of "${name}"`, 1, 1);
      const logits = readAnswer(await answerOf(chain, orderId), circuit.program.loss.classes);
      const values = Array.from(logits, (value) => value / 2 ** circuit.program.loss.logitScale);
      return { orderId, offerId, modelId, class: logits.indexOf(Math.max(...logits)), logits: values, paid: price };
    }
    const waited = (await chain.now()) - at;
    if (waited >= maxLatency) await takeBack(chain, orderId);
    ui.progress(`Waiting for the answer of "${name}"`, Math.max(0, Math.min(waited, maxLatency - 1)), maxLatency);
    await systemClock.sleep(POLL_MS, signal);
  }
}

async function takeBack({ inference }: LocalNode["chain"], orderId: Hex): Promise<void> {
  try {
    await inference.tick(orderId);
  } catch (error) {
    // somebody else refunded it in the same moment: the next look tells
    if (!(error instanceof ChainError && ["WrongState", "TooEarly"].includes(error.code))) throw error;
  }
}

async function answerOf({ inference }: LocalNode["chain"], orderId: Hex): Promise<Uint8Array> {
  const { offerId } = await inference.order(orderId);
  for (const event of await inference.events({ offerId }))
    if (event.name === "Answered" && event.args.orderId === orderId) return fromHex(event.args.z);
  throw new SkyNetError("AnswerNotFound", "the chain says that the order was answered, but shows no answer", {
    hint: "ask another RPC endpoint: this one has not all logs",
  });
}

/** The contract took the answer, so it is one; an endpoint could still show another. */
function readAnswer(z: Uint8Array, classes: number): Int32Array {
  try {
    const logits = decodeLogits(z);
    if (logits.length === classes) return logits;
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
  }
  throw new SkyNetError("BadAnswer", `the answer has ${z.length} bytes that are no ${classes} logits`, {
    hint: "ask another RPC endpoint: this one shows what the contract would not have taken",
  });
}

const notAnswered = () =>
  new SkyNetError("NotAnswered", "the host did not answer in time", {
    hint: "the money is back in the Ledger (npx skynet wallet withdraw fetches it); try another host",
  });
