import { roundSecret } from "./blinding.ts";
import { SwarmError } from "./errors.ts";
import type { JobPeer, PeerModules } from "./job-peer.ts";
import { commitmentOf, storedRound, trainRound, type BatchSource, type LocalResult } from "./local-training.ts";
import type { RoundStats } from "./messages.ts";
import type { JobSnapshot, RoundStart } from "./ports.ts";

interface ResultModules extends PeerModules {
  readonly blindingSecret: Uint8Array;
}

/** What a worker makes of its rounds: in memory, on disk, or made again. */
export class OwnResults {
  readonly #m: ResultModules;
  readonly #peer: JobPeer;
  readonly #onStep: (round: number, step: number, steps: number) => void;
  #latest: { readonly key: string; readonly result: LocalResult } | undefined;
  #trained: Pick<RoundStats, "trainMs" | "trainLoss"> = { trainMs: 0, trainLoss: 0 };

  constructor(
    modules: ResultModules,
    peer: JobPeer,
    onStep: (round: number, step: number, steps: number) => void = () => undefined,
  ) {
    this.#m = modules;
    this.#peer = peer;
    this.#onStep = onStep;
  }

  /** Of the latest round that was trained here. */
  get stats(): RoundStats {
    const { sentBytes, receivedBytes } = this.#m.network.traffic();
    return { ...this.#trained, sentBytes, receivedBytes };
  }

  /** Where the round's steps begin. @throws SwarmError `NotYet` while the weights are not here */
  startOf(snapshot: JobSnapshot): RoundStart {
    const base = this.#peer.requireBase();
    const { blindingSecret, chain } = this.#m;
    return { ...base, secret: roundSecret(blindingSecret, chain.jobId, snapshot, base.modelId) };
  }

  /** The result of this round, from memory or from before a restart. */
  async stored(snapshot: JobSnapshot): Promise<LocalResult | undefined> {
    const key = this.#keyOf(snapshot);
    if (this.#latest?.key === key) return this.#latest.result;
    const result = await storedRound(this.#m, this.#peer, snapshot);
    if (result) this.#latest = { key, result };
    return result;
  }

  /** Does the local steps of the round. */
  async train(snapshot: JobSnapshot, batches: BatchSource, signal: AbortSignal): Promise<LocalResult> {
    const report = (step: number, steps: number) => this.#onStep(snapshot.round, step, steps);
    const key = this.#keyOf(snapshot);
    const { result, ...trained } = await trainRound(this.#m, this.startOf(snapshot), snapshot, batches, signal, report);
    this.#trained = trained;
    this.#latest = { key, result };
    return result;
  }

  /** What was committed, unless it was lost or damaged. */
  async committed(snapshot: JobSnapshot): Promise<LocalResult | undefined> {
    const stored = await this.stored(snapshot);
    return stored && this.#isCommitted(snapshot, stored) ? stored : undefined;
  }

  /**
   * Makes what was committed again: the steps are exact.
   * @throws SwarmError `NotYet` without the dataset, `NotReproducible`
   */
  async repeat(snapshot: JobSnapshot, batches: BatchSource | undefined, signal: AbortSignal): Promise<LocalResult> {
    if (batches === undefined) throw new SwarmError("NotYet", "the dataset is not open yet");
    this.#m.log.warn({ round: snapshot.round }, "the committed update is not on this disk: the steps are done again");
    const result = await this.train(snapshot, batches, signal);
    if (!this.#isCommitted(snapshot, result))
      throw new SwarmError("NotReproducible", `the steps lead to ${result.id}, but another id was committed`);
    return result;
  }

  /** What a result follows from: after a reorganisation of the chain the same round can have another seed. */
  #keyOf({ round, jobSeed }: JobSnapshot): string {
    return [round, jobSeed, this.#peer.requireBase().modelId].join("/");
  }

  #isCommitted(snapshot: JobSnapshot, result: LocalResult): boolean {
    const own = snapshot.commits.get(snapshot.workers.indexOf(this.#m.chain.self));
    if (own === undefined) throw new SwarmError("NotYet", "the own commitment is not seen on chain yet");
    const { idEnd, stepsRoot } = commitmentOf(result);
    return idEnd === own.idEnd && stepsRoot === own.stepsRoot;
  }
}
