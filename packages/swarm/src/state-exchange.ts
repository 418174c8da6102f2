import { fromHex, toHex, type Hex } from "@skynet/protocol";
import { holdersByBlock } from "./holders.ts";
import type { JobPeer, RoundBase } from "./job-peer.ts";
import type { Address } from "./ports.ts";
import { encodeWeights } from "./weights.ts";

/** Pause before weights are asked for again: those that answered may be gone. */
const ASK_AGAIN_MS = 5000;

/** Members give the weights of a round to those that lack them. */
export class StateExchange {
  readonly #peer: JobPeer;
  #offered: { modelId: Hex; cid: string } | undefined;
  readonly #sources = new Map<Hex, Map<Address, string>>();
  /** Members that asked for weights that are not here yet. */
  readonly #askers = new Map<Address, Hex>();
  #asked: { readonly modelId: Hex; readonly againAtMs: number } | undefined;

  constructor(peer: JobPeer) {
    this.#peer = peer;
    peer.on("need-state", async (from, { modelId }) => {
      this.#askers.set(from, toHex(modelId));
      await this.answer();
    });
    peer.on("have-state", (from, { modelId, cid }) => this.#noteSource(toHex(modelId), from, cid));
  }

  /**
   * Fetches weights from the members that offered them; those that gave others are forgotten, and all are asked.
   * @param open checks what was fetched; undefined when that was in vain
   */
  async fetch(
    modelId: Hex,
    open: (from: string, read: () => Promise<Uint8Array>) => Promise<RoundBase | undefined>,
  ): Promise<RoundBase | undefined> {
    const { network, signal } = this.#peer.modules;
    for (const [cid, peers] of holdersByBlock(this.#sources.get(modelId))) {
      const fetched = await open(peers.join(), () => network.fetchBlock(peers, cid, signal));
      if (fetched) return fetched;
      for (const peer of peers) this.#sources.get(modelId)?.delete(peer);
    }
    this.#ask(modelId);
    return undefined;
  }

  /** Offers the present weights to those that asked for them. */
  async answer(): Promise<void> {
    const { base, modules } = this.#peer;
    const askers = [...this.#askers].flatMap(([asker, modelId]) => (modelId === base?.modelId ? [asker] : []));
    if (base === undefined || askers.length === 0) return;
    const { modelId } = base;
    const round = this.#peer.snapshot?.round;
    if (this.#offered?.modelId !== modelId)
      this.#offered = { modelId, cid: await modules.blocks.put(encodeWeights(base), round) };
    for (const asker of askers) this.#askers.delete(asker);
    // Not awaited: the question is answered when it is on its way.
    this.#peer
      .tell(askers, "have-state", { modelId: fromHex(modelId), cid: this.#offered.cid })
      .catch((error: unknown) => {
        modules.log.debug({ error: String(error) }, "weights not offered");
      });
  }

  /** Members that have the weights answer at once, the others when they get them; in vain is asked again. */
  #ask(modelId: Hex): void {
    const { clock, log } = this.#peer.modules;
    if (this.#asked?.modelId === modelId && clock.nowMs() < this.#asked.againAtMs) return;
    this.#asked = { modelId, againAtMs: clock.nowMs() + ASK_AGAIN_MS };
    this.#peer.publish("need-state", { modelId: fromHex(modelId) }).catch((error: unknown) => {
      log.debug({ error: String(error) }, "members were not asked for weights");
    });
  }

  #noteSource(modelId: Hex, from: Address, cid: string): void {
    if (modelId !== this.#peer.snapshot?.modelId) return;
    for (const known of this.#sources.keys()) if (known !== modelId) this.#sources.delete(known);
    const sources = this.#sources.get(modelId) ?? new Map<Address, string>();
    sources.set(from, cid);
    this.#sources.set(modelId, sources);
  }
}
