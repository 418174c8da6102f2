import { ChainError, InferenceState } from "@skynet/contracts";
import { type Commitment, OverflowError, readInferenceModel } from "@skynet/proof";
import { fromHex, InvalidInputError, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { formatAmount, formatGas, formatSeconds, shortId } from "../cli/format.ts";
import { openAnsweringModel, type AnsweringModel } from "../market/answers.ts";
import { readOffer, type MarketOffer } from "../market/listings.ts";
import { openInput, type OpenedInput } from "../market/sealed-input.ts";
import { readInputFile } from "../runtime/files.ts";
import { back, failureText, type HostOptions } from "./host.ts";
import { InputQueue, type ReadyRequest } from "./host-inputs.ts";
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

/** Models that are kept ready; each holds its proof system. */
const MAX_MODELS = 2;

/** Answers the requests of this account's offers: inputs are fetched together, proofs are made one after the other. */
export function createAnswerDesk(node: LocalNode, options: HostOptions): AnswerDesk {
  const { signal } = options;
  const { chain } = node;
  const offers = new Map<Hex, MarketOffer>();
  const models = createModels(node, options);
  const seen = new Set<Hex>();
  const inputs = openQueue(node, options);
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
      if (offer && !seen.has(orderId)) inputs.add(orderId, { offer, requester, xRef: fromHex(xRef) });
      seen.add(orderId);
    }
    nextBlock = head + 1n;
  };

  return {
    open: async () => {
      await look();
      return [...offers.values()].filter(({ active }) => active).length;
    },
    step: async () => {
      for (;;) {
        signal.throwIfAborted();
        await look();
        inputs.fetchMore();
        const ready = inputs.oldest();
        if (ready === undefined) return;
        try {
          await answer(node, options, models, ready);
          inputs.done(ready.orderId);
        } catch (error) {
          if (signal.aborted) return;
          inputs.failed(ready.orderId, error);
        }
      }
    },
    close: models.close,
  };
}

function openQueue(node: LocalNode, { ui, signal }: HostOptions): InputQueue {
  return new InputQueue({
    host: node.host,
    partials: node.partials,
    isOpen: async (orderId, { offer }) => (await openOrder(node, orderId, offer)) !== undefined,
    onFailure: (orderId, error, { again, final }) => {
      node.log.debug({ orderId, error: (error as Error).message, final }, "a request waits or is dropped");
      // somebody else moved it on in the meantime
      if (error instanceof ChainError && error.code === "WrongState") return;
      if (!again || final) ui.line(failureText(orderId, error));
      if (final) ui.event("dropped", { orderId, reason: (error as Error).message });
    },
    signal,
  });
}

/** An order that waits for its answer; undefined when it is over. */
async function openOrder({ chain }: LocalNode, orderId: Hex, { maxLatency }: MarketOffer) {
  const order = await chain.inference.order(orderId);
  const waits = order.state === InferenceState.OPEN && (await chain.now()) < order.at + maxLatency;
  return waits ? order : undefined;
}

/** Proves the answer of an order, if it still waits for one. @throws InvalidInputError when its input has none */
async function answer(
  node: LocalNode,
  { ui, signal }: HostOptions,
  models: Models,
  { orderId, offer, sealed }: ReadyRequest,
): Promise<void> {
  const { chain } = node;
  const order = await openOrder(node, orderId, offer);
  if (order === undefined) return;
  const startedMs = performance.now();
  const model = await models.of(offer);
  const { x, commitment } = await readInput(node, model, sealed, order.xId);
  const { at: verifier } = await chain.verifierEntry(offer.verifierId);
  const context = async (z: Uint8Array) => (await chain.inference.statement(orderId, z)).context;
  const { z, proof } = await model.answer({ verifier, context }, x, commitment).catch((cause: unknown) => {
    if (!(cause instanceof OverflowError)) throw cause;
    throw new InvalidInputError("BadInput", `its input has no answer: ${cause.message}`, { cause });
  });
  const receipt = await chain.inference.answer(orderId, z, toHex(proof), { signal });
  const seconds = (performance.now() - startedMs) / 1000;
  const { price } = order;
  const amount = formatAmount(price, await tokenInfo(chain.rpcUrl, offer.token));
  ui.line(
    `answered order ${shortId(orderId)} of "${offer.name}" in ${formatSeconds(seconds)}: ${amount} for ${formatGas(receipt.gasUsed)} gas`,
  );
  ui.event("answered", { orderId, offerId: offer.offerId, price, gas: Number(receipt.gasUsed), seconds });
}

interface Models {
  of(offer: MarketOffer): Promise<AnsweringModel>;
  close(): Promise<void>;
}

/** Opened models, the latest used last. */
function createModels({ chain }: LocalNode, { dataDir, threads = 2, referenceString }: HostOptions): Models {
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

/** Opens the input of an order. @throws InvalidInputError `BadInput` */
async function readInput(
  { host }: LocalNode,
  { system }: AnsweringModel,
  sealed: Uint8Array,
  xId: Hex,
): Promise<{ x: Int8Array; commitment: Commitment }> {
  const { features } = system.circuit.program.input;
  const size = { features, blocks: system.blocks.batch };
  const { x, blinders }: OpenedInput = await openInput(xId, sealed, host.identity, size);
  const commitment = await system.commitBatch(x, undefined, blinders);
  if (system.batchId(commitment.points) !== xId)
    throw new InvalidInputError("BadInput", "the input is not the one that the order commits to");
  return { x, commitment };
}
