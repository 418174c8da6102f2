import { countSeats, fromHex, hasSeat, listSeats, quorumOf } from "@skynet/protocol";
import type { JobPeer, PeerModules } from "./job-peer.ts";
import { bitmapBytes } from "./messages.ts";
import type { JobSnapshot } from "./ports.ts";
import type { RoundTools } from "./round-tools.ts";
import { rankOf } from "./turns.ts";

/** A worker's part in the merge of a round. */
export class Merging {
  readonly #m: PeerModules;
  readonly #peer: JobPeer;
  readonly #tools: RoundTools;

  constructor(peer: JobPeer, tools: RoundTools) {
    this.#m = peer.modules;
    this.#peer = peer;
    this.#tools = tools;
  }

  run(snapshot: JobSnapshot, seat: number): void {
    if (snapshot.verification === "proof") this.#mergeProven(snapshot, seat);
    else this.#mergeSigned(snapshot, seat);
  }

  /** Quorum mode: two thirds sign the id of the average. */
  #mergeSigned(snapshot: JobSnapshot, seat: number): void {
    const { round } = snapshot;
    const { included } = snapshot;
    this.#tools.tasks.once(`merge-sign/${round}`, async () => {
      const next = await this.#peer.computeNext(included);
      if (!hasSeat(snapshot.committed, seat)) return;
      const signature = await this.#m.chain.signAttest(round, included, next.id);
      this.#tools.board.add(`merge/${round}`, seat, {
        statement: `${included}/${next.id}`,
        signature,
        received: included,
      });
    });
    const next = this.#peer.next(included);
    if (!next) return;
    const { seats, signatures } = this.#tools.board.collected(
      `merge/${round}`,
      `${included}/${next.id}`,
      snapshot.committed,
    );
    const own = seats.indexOf(seat);
    if (own >= 0) {
      this.#tools.announcements.once(`merge/${round}/${next.id}`, this.#peer.others(), (to, signal) =>
        this.#peer.tell(
          to,
          "merge",
          { round, included: bitmapBytes(included), idNext: fromHex(next.id), signature: signatures[own]! },
          signal,
        ),
      );
    }
    if (seats.length < quorumOf(countSeats(snapshot.committed))) return;
    if (this.#tools.turns.isMine(`merge/${round}`, rankOf(snapshot, seat), snapshot.nowMs))
      this.#tools.tasks.once(`merge/${round}/${seats.join()}`, () => this.#m.chain.merge(next.id, seats, signatures));
  }

  /** Proof mode: the contract averages the commitments itself, so one transaction by anybody is enough. */
  #mergeProven(snapshot: JobSnapshot, seat: number): void {
    const { round, included, commits } = snapshot;
    this.#tools.tasks.once(`next/${round}`, async () => {
      await this.#tools.ensureBase(snapshot);
      await this.#peer.computeNext(included);
    });
    if (!this.#peer.next(included)) return;
    if (!this.#tools.turns.isMine(`merge/${round}`, rankOf(snapshot, seat), snapshot.nowMs)) return;
    this.#tools.tasks.once(`merge/${round}`, () => {
      const held = this.#peer.heldUpdates();
      const updates = listSeats(included).map((s) => ({ seat: s, ...commits.get(s)!, points: held.get(s)!.points }));
      return this.#m.chain.mergeProven(this.#peer.requireBase().points, updates);
    });
  }
}
