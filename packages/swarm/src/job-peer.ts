import { type Hex, listSeats, seatBit } from "@skynet/protocol";
import { SwarmError } from "./errors.ts";
import { holdersByBlock } from "./holders.ts";
import { Mailbox } from "./mailbox.ts";
import type { MessageBody, MessageKind } from "./messages.ts";
import type {
  Address,
  BlindedWeights,
  BlockPort,
  Clock,
  CommittedWeights,
  JobChain,
  JobFiles,
  JobNetwork,
  JobSnapshot,
  Log,
  ModelShape,
  Trainer,
  Weights,
  WeightsIdentity,
} from "./ports.ts";
import { StateExchange } from "./state-exchange.ts";
import { decodeWeights, encodeWeights } from "./weights.ts";

export interface PeerModules {
  readonly chain: JobChain;
  readonly network: JobNetwork;
  readonly blocks: BlockPort;
  readonly files: JobFiles;
  readonly trainer: Trainer;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** An update that was checked against its commitment. */
export interface HeldUpdate extends CommittedWeights {
  readonly cid: string;
}

/** Weights that a round starts from. */
export interface RoundBase extends CommittedWeights {
  readonly modelId: Hex;
}

/** The average of a set of updates. */
export interface NextWeights extends WeightsIdentity {
  readonly weights: Weights;
}

/** Newest weights of the contract that this node has, see `decodeWeights`. */
export const STATE_FILE = "state.cbor";
/** How long a receiver waits for the chain to show a commitment before it refuses the update (the sender retries). */
const COMMIT_WAIT_MS = 4000;
const POLL_MS = 250;
/** A holder that does not deliver in this time is passed over. */
const FETCH_TIMEOUT_MS = 5000;
/** A message to a member that is offline waits at least so long. */
const SHORTEST_WAIT_MS = 60_000;
/**
 * What workers and the requester have in common in a job: the weights of the current round, the updates received for it,
 * and the exchange of both with the other members. Correctness never rests on a peer: an update counts only when its id
 * equals the committed one, weights only when their id equals the contract's.
 */
export class JobPeer {
  readonly modules: PeerModules;
  shape: ModelShape | undefined;
  /** Weights W_r of the contract's modelId, when this node has them. */
  base: RoundBase | undefined;
  /** Latest view of the chain. */
  snapshot: JobSnapshot | undefined;
  readonly #updates = new Map<number, HeldUpdate>();
  #updatesRound = -1;
  #nextWeights: (NextWeights & { readonly key: string; readonly round: number }) | undefined;
  /** Where updates can be had: seat -> holder -> cid. Both are members of the job, so this stays small. */
  readonly #sources = new Map<number, Map<Address, string>>();
  readonly #mailbox: Mailbox;
  readonly #states: StateExchange;

  constructor(modules: PeerModules) {
    this.modules = modules;
    this.#mailbox = new Mailbox(modules);
    this.#states = new StateExchange(this);
    modules.network.onMessage((message) => this.#mailbox.receive(message));
    modules.network.onUpdate(
      (from, round) => this.seatOf(from) >= 0 && round === this.snapshot?.round,
      (from, round, bytes) => this.#acceptUpdate(from, round, bytes),
    );
  }

  /** Handles messages of a kind; see {@link Mailbox}. */
  on<Kind extends MessageKind>(
    kind: Kind,
    handler: (from: Address, body: MessageBody<Kind>) => void | Promise<void>,
  ): void {
    this.#mailbox.on(kind, handler);
  }

  async refresh(): Promise<JobSnapshot> {
    const snapshot = await this.modules.chain.snapshot(this.modules.signal);
    this.snapshot = snapshot;
    const workers = listSeats(snapshot.active).map((seat) => snapshot.workers[seat]!);
    const ready = listSeats(snapshot.active & snapshot.ready).map((seat) => snapshot.workers[seat]!);
    this.modules.network.follow({ members: [...workers, snapshot.requester], keys: snapshot.keys, ready });
    if (snapshot.round !== this.#updatesRound) {
      this.#updatesRound = snapshot.round;
      this.#updates.clear();
      this.#sources.clear();
    }
    await this.#mailbox.lookAgain(snapshot);
    return snapshot;
  }

  seatOf(address: Address): number {
    return this.snapshot?.workers.indexOf(address) ?? -1;
  }

  /** Seats whose update of this round is here and checked. */
  received(): bigint {
    return [...this.#updates.keys()].reduce((set, seat) => set | seatBit(seat), 0n);
  }

  heldUpdates(): ReadonlyMap<number, HeldUpdate> {
    return this.#updates;
  }

  /** @throws SwarmError `TooLate` when the round has ended in the meantime: the update must not count for the next */
  async keepUpdate(round: number, seat: number, update: CommittedWeights, bytes: Uint8Array): Promise<void> {
    const cid = await this.modules.blocks.put(bytes, round);
    if (round !== this.#updatesRound) throw new SwarmError("TooLate", `round ${round} is over`);
    if (!this.#updates.has(seat)) this.#updates.set(seat, { ...update, cid });
  }

  noteUpdateSource(seat: number, cid: string, holder: Address): void {
    const holders = this.#sources.get(seat) ?? new Map<Address, string>();
    this.#sources.set(seat, holders.set(holder, cid));
  }

  /**
   * W'_w = W_r + delta, with the blinders that came along: both must lead to the id that the seat committed to.
   * @throws SwarmError `BadUpdate`; SkyNetError `BadDelta`, `BadBlinders` when the bytes are no update at all
   */
  async decodeUpdate(seat: number, bytes: Uint8Array): Promise<CommittedWeights> {
    const committed = this.#requireSnapshot().commits.get(seat);
    const base = this.requireBase();
    const { trainer } = this.modules;
    const { weights, blinders } = await trainer.applyUpdate(base.weights, bytes);
    const { id, ...identity } = await trainer.identify(weights, blinders, base);
    if (id !== committed?.idEnd)
      throw new SwarmError("BadUpdate", `the update of seat ${seat} does not match its commitment`);
    return { weights, ...identity };
  }

  /** Included updates that are still missing are fetched from members that attested to hold them. */
  async #fetchMissingUpdates(included: bigint): Promise<void> {
    const round = this.#updatesRound;
    await Promise.all(
      listSeats(included & ~this.received()).map(async (seat) => {
        for (const [cid, holders] of holdersByBlock(this.#sources.get(seat))) {
          try {
            const signal = AbortSignal.any([this.modules.signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]);
            const bytes = await this.modules.network.fetchBlock(holders, cid, signal);
            await this.keepUpdate(round, seat, await this.decodeUpdate(seat, bytes), bytes);
            return;
          } catch (error) {
            this.modules.log.debug({ seat, holders, error: String(error) }, "update not fetched");
          }
        }
      }),
    );
  }

  /** W_(r+1) for this set of updates, once {@link computeNext} has made it. */
  next(included: bigint): NextWeights | undefined {
    return this.#nextWeights?.key === this.#nextKey(included) ? this.#nextWeights : undefined;
  }

  /**
   * Averages the included updates; those that are missing are fetched first.
   * @throws SwarmError `NoState` while one cannot be had
   */
  async computeNext(included: bigint): Promise<NextWeights> {
    const known = this.next(included);
    if (known) return known;
    const key = this.#nextKey(included);
    await this.#fetchMissingUpdates(included);
    const base = this.requireBase();
    if (
      key !== this.#nextKey(included) ||
      base.modelId !== this.snapshot?.modelId ||
      (included & ~this.received()) !== 0n
    )
      throw new SwarmError("NoState", "an included update is still missing");
    const updates = listSeats(included).map((seat) => this.#updates.get(seat)!);
    const { weights, blinders } = await this.modules.trainer.average(base, updates);
    const round = this.#updatesRound;
    const next = { key, round, weights, ...(await this.modules.trainer.identify(weights, blinders)) };
    this.#nextWeights = next;
    return next;
  }

  #nextKey(included: bigint): string {
    return `${this.snapshot?.round}/${this.snapshot?.modelId}/${included}`;
  }

  /** Makes the weights of the contract's modelId current, from memory, disk or a peer; false while they are not to be had. */
  async syncBase(): Promise<boolean> {
    const { modelId } = this.#requireSnapshot();
    if (this.base?.modelId === modelId) return true;
    const next = this.#nextWeights;
    if (next?.id === modelId) {
      const { weights, points, blinders } = next;
      await this.#keepBase({ modelId, weights, points, blinders });
      return true;
    }
    if (next !== undefined && next.round + 1 === this.#updatesRound && this.base?.modelId !== modelId)
      this.modules.log.warn({ modelId, own: next.id }, "the contract's next weights are not the average made here");
    const candidate = await this.#recoverState(modelId);
    if (candidate === undefined) return false;
    await this.#keepBase(candidate);
    return true;
  }

  /**
   * Begins with the weights that follow from the job's seed. Everybody knows them, so nothing blinds their commitment.
   * @throws SwarmError `WrongModel` when they are not the weights of the contract
   */
  async adoptInitial(weights: Weights): Promise<void> {
    await this.#keepBase(await this.#baseOf({ weights }, this.#requireSnapshot().modelId));
  }

  /** On disk before they are used: a worker must be able to prove steps from them after a restart. */
  async #keepBase(base: RoundBase): Promise<void> {
    await this.modules.files.write(STATE_FILE, encodeWeights(base));
    this.base = base;
    await this.#states.answer();
  }

  /** Weights count when they, with their blinders, have the id of the contract. */
  async #baseOf(
    { weights, blinders }: Pick<BlindedWeights, "weights"> & Partial<BlindedWeights>,
    modelId: Hex,
  ): Promise<RoundBase> {
    const { id, ...identity } = await this.modules.trainer.identify(weights, blinders);
    if (id !== modelId) throw new SwarmError("WrongModel", "these weights are not the ones that the contract holds");
    return { modelId, weights, ...identity };
  }

  /** Delivers to all other members. @returns those that confirmed it */
  publish<Kind extends MessageKind>(kind: Kind, body: MessageBody<Kind>): Promise<readonly Address[]> {
    return this.tell(this.others(), kind, body);
  }

  /** The active workers and the requester, without this node itself. */
  others(): readonly Address[] {
    const { workers, active, requester } = this.#requireSnapshot();
    const members = [...listSeats(active).map((seat) => workers[seat]!), requester];
    return members.filter((address) => address !== this.modules.chain.self);
  }

  /** Delivers to these members, without this node itself. @returns those that confirmed it */
  async tell<Kind extends MessageKind>(
    to: readonly Address[],
    kind: Kind,
    body: MessageBody<Kind>,
    signal = this.modules.signal,
  ): Promise<readonly Address[]> {
    const { phaseAtMs, phaseEndMs } = this.#requireSnapshot();
    const { chain, clock, network } = this.modules;
    const others = to.filter((address) => address !== chain.self);
    if (others.length === 0) return [];
    const deadlineMs = clock.nowMs() + Math.max(2 * (phaseEndMs - phaseAtMs), SHORTEST_WAIT_MS);
    return network.send(others, kind, body, { deadlineMs, signal: AbortSignal.any([signal, this.modules.signal]) });
  }

  /** From the disk, else from a peer; what is damaged, or of other weights or blinders, is passed over. */
  async #recoverState(modelId: Hex): Promise<RoundBase | undefined> {
    const { files, log } = this.modules;
    const open = async (source: string, read: () => Promise<Uint8Array | undefined>) => {
      try {
        const block = await read();
        return block && (await this.#baseOf(decodeWeights(this.#requireShape(), block), modelId));
      } catch (error) {
        log.debug({ source, error: String(error) }, "no weights from here");
        return undefined;
      }
    };
    return (await open(STATE_FILE, () => files.read(STATE_FILE))) ?? this.#states.fetch(modelId, open);
  }

  /** Called for every update that arrives; returning means "checked and kept", and the sender gets its receipt. */
  async #acceptUpdate(from: Address, round: number, bytes: Uint8Array): Promise<void> {
    const untilMs = this.modules.clock.nowMs() + COMMIT_WAIT_MS;
    for (;;) {
      const snapshot = this.snapshot;
      const seat = this.seatOf(from);
      if (snapshot && seat >= 0 && snapshot.round === round) {
        if (snapshot.commits.has(seat) && this.base?.modelId === snapshot.modelId) {
          await this.keepUpdate(round, seat, await this.decodeUpdate(seat, bytes), bytes);
          return;
        }
      }
      if (snapshot && snapshot.round > round) throw new SwarmError("TooLate", `round ${round} is over`);
      if (this.modules.clock.nowMs() > untilMs)
        throw new SwarmError("NotYet", `no commitment of ${from} for round ${round} is known here yet`);
      await this.modules.clock.sleep(POLL_MS, this.modules.signal);
    }
  }

  /** @throws SwarmError `NotYet` while the weights of the round are not here */
  requireBase(): RoundBase {
    if (!this.base) throw new SwarmError("NotYet", "the weights of this round are not here yet");
    return this.base;
  }

  #requireSnapshot() {
    if (!this.snapshot) throw new SwarmError("NotYet", "the job was not read from the chain yet");
    return this.snapshot;
  }

  #requireShape() {
    if (!this.shape) throw new SwarmError("NotYet", "the model is not loaded yet");
    return this.shape;
  }
}
