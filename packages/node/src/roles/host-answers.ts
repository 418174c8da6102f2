import { ChainError, InferenceState } from "@skynet/contracts";
import { fetchBlock } from "@skynet/network";
import { type Commitment, readInferenceModel } from "@skynet/proof";
import { fromHex, InvalidInputError, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { formatAmount, formatGas, formatSeconds, shortId } from "../cli/format.ts";
import { openAnsweringModel, type AnsweringModel } from "../market/answers.ts";
import { readOffer, type MarketOffer } from "../market/listings.ts";
import { openInput, type OpenedInput } from "../market/sealed-input.ts";
import { readInputFile } from "../runtime/files.ts";
import { back, failureText, type HostOptions } from "./host.ts";
import type { LocalNode } from "./local-node.ts";
import { modelFile } from "./selling.ts";
import { tokenInfo } from "./token.ts";

export interface AnswerDesk {
  /** @returns number of offers */
  open(): Promise<number>;
  /** Looks for new offers and requests, and answers the oldest. */
  step(): Promise<void>;
  close(): Promise<void>;
}

interface Request {
  readonly offer: MarketOffer;
  readonly requester: Hex;
  /** Where the input is, as the requester says. */
  readonly xRef: Uint8Array;
  told: boolean;
}

/** Models that are kept ready; each holds its proof system. */
const MAX_MODELS = 2;

/** Answers the requests of this account's offers, one after the other. */
export function createAnswerDesk(node: LocalNode, options: HostOptions): AnswerDesk {
  const { ui, signal } = options;
  const { chain, log } = node;
  const offers = new Map<Hex, MarketOffer>();
  const requests = new Map<Hex, Request>();
  const models = createModels(node, options);
  const seen = new Set<Hex>();
  let nextBlock: bigint | undefined;

  const look = async () => {
    const head = await chain.blockNumber();
    if (nextBlock !== undefined && nextBlock > head) return;
    // a reorganisation may have put an order into a block that was looked at before
    const range = { ...(nextBlock === undefined ? {} : { fromBlock: back(nextBlock) }), toBlock: head };
    for (const { offerId } of await chain.inference.offers({ host: chain.address, ...range }))
      offers.set(offerId, await readOffer(chain, offerId));
    for (const event of await chain.inference.events(range)) {
      if (event.name !== "Requested") continue;
      const { orderId, offerId, requester, xRef } = event.args;
      const offer = offers.get(offerId);
      if (offer && !seen.has(orderId)) requests.set(orderId, { offer, requester, xRef: fromHex(xRef), told: false });
      seen.add(orderId);
    }
    nextBlock = head + 1n;
  };

  /** @returns whether the order is over */
  const attend = async (orderId: Hex, request: Request): Promise<boolean> => {
    const { offer } = request;
    const { state, at: since, xId, price } = await chain.inference.order(orderId);
    if (state !== InferenceState.OPEN || (await chain.now()) >= since + offer.maxLatency) return true;
    const startedMs = performance.now();
    const model = await models.of(offer);
    const { x, commitment } = await fetchInput(node, model, request, xId, signal);
    const { at: verifier } = await chain.verifierEntry(offer.verifierId);
    const { z, proof } = await model.answer(
      { verifier, context: async (z) => (await chain.inference.statement(orderId, z)).context },
      x,
      commitment,
    );
    const receipt = await chain.inference.answer(orderId, z, toHex(proof), { signal });
    const seconds = (performance.now() - startedMs) / 1000;
    const amount = formatAmount(price, await tokenInfo(chain.rpcUrl, offer.token));
    ui.line(
      `answered order ${shortId(orderId)} of "${offer.name}" in ${formatSeconds(seconds)}: ${amount} for ${formatGas(receipt.gasUsed)} gas`,
    );
    ui.event("answered", { orderId, offerId: offer.offerId, price, gas: Number(receipt.gasUsed), seconds });
    return true;
  };

  return {
    open: async () => {
      await look();
      return [...offers.values()].filter(({ active }) => active).length;
    },
    step: async () => {
      await look();
      for (const [orderId, request] of requests) {
        signal.throwIfAborted();
        try {
          if (await attend(orderId, request)) requests.delete(orderId);
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof ChainError && error.code === "WrongState") continue;
          if (!request.told) ui.line(failureText(orderId, error));
          request.told = true;
          log.debug({ orderId, error: (error as Error).message }, "a request waits");
          // what the requester committed to cannot become another input
          if (error instanceof InvalidInputError) requests.delete(orderId);
        }
      }
    },
    close: models.close,
  };
}

/** Opened models, the latest used last. */
function createModels({ chain }: LocalNode, { dataDir, threads = 2, referenceString }: HostOptions) {
  const open = new Map<Hex, AnsweringModel>();
  return {
    async of({ modelId, name }: MarketOffer): Promise<AnsweringModel> {
      const known = open.get(modelId);
      if (known) return known;
      const bytes = await readInputFile(modelFile(dataDir, modelId), `the model of "${name}"`);
      const place = { chainId: chain.chainId, threads, referenceString };
      const model = await openAnsweringModel(readInferenceModel(bytes), place);
      if (model.modelId !== modelId) {
        await model.close();
        throw new SkyNetError("WrongModel", `the file of "${name}" is not the offered model`, {
          hint: "check that --srs is the reference string that it was offered with",
        });
      }
      if (open.size >= MAX_MODELS) {
        const [oldest, unused] = [...open][0]!;
        open.delete(oldest);
        await unused.close();
      }
      open.set(modelId, model);
      return model;
    },
    close: async () => {
      for (const model of open.values()) await model.close();
    },
  };
}

/** The input of an order from its requester. @throws InvalidInputError `BadInput`; NetworkError */
async function fetchInput(
  node: LocalNode,
  { system }: AnsweringModel,
  { requester, xRef }: Request,
  xId: Hex,
  signal: AbortSignal,
): Promise<{ x: Int8Array; commitment: Commitment }> {
  const cid = new TextDecoder().decode(xRef);
  const sealed = await fetchBlock(node.host, requester, cid, { signal });
  const { features } = system.circuit.program.input;
  const size = { features, blocks: system.blocks.batch };
  const { x, blinders }: OpenedInput = await openInput(xId, sealed, node.host.identity, size);
  const commitment = await system.commitBatch(x, undefined, blinders);
  if (system.batchId(commitment.points) !== xId)
    throw new InvalidInputError("BadInput", "the input is not the one that the order commits to");
  return { x, commitment };
}
