import { fromHex, hasSeat } from "@skynet/protocol";
import { SwarmError } from "./errors.ts";
import type { JobPeer } from "./job-peer.ts";
import type { JobSnapshot } from "./ports.ts";
import type { Announcements } from "./round-tools.ts";
import type { TaskSet } from "./tasks.ts";

/** How long a settled worker waits for the requester to hear its last word. */
const GOODBYE_MS = 10_000;

interface EndTools {
  readonly tasks: TaskSet;
  readonly announcements: Announcements;
}

/** A worker's part in the end of a job: it tells the requester the final weights' id, and takes its money. */
export class JobEnd {
  readonly #peer: JobPeer;
  readonly #tools: EndTools;
  #finalHeard = false;
  #settledMs = Number.POSITIVE_INFINITY;

  constructor(peer: JobPeer, tools: EndTools) {
    this.#peer = peer;
    this.#tools = tools;
  }

  /** Fetches the final weights, and says that they are here. */
  deliver(snapshot: JobSnapshot): void {
    const { tasks, announcements } = this.#tools;
    if (this.#peer.base?.modelId !== snapshot.modelId) {
      tasks.once(`final-state/${snapshot.modelId}`, async () => {
        if (!(await this.#peer.syncBase())) throw new SwarmError("NoState", "the final weights are not here yet");
      });
      return;
    }
    const { weights, blinders } = this.#peer.base;
    const { requester, modelId } = snapshot;
    announcements.once(`final/${modelId}`, [requester], async (to, signal) => {
      // The id is computed anew, from the weights that this node really holds.
      const { id } = await this.#peer.modules.trainer.identify(weights, blinders);
      const heard = await this.#peer.tell(to, "final", { modelId: fromHex(id) }, signal);
      this.#finalHeard = heard.includes(requester);
      return heard;
    });
  }

  settle(snapshot: JobSnapshot, seat: number): void {
    const { chain, clock } = this.#peer.modules;
    const { tasks } = this.#tools;
    this.#settledMs = Math.min(this.#settledMs, clock.nowMs());
    if (snapshot.round > (snapshot.claimedTo[seat] ?? 0)) tasks.once("claim", () => chain.claim(seat, snapshot.round));
    if (snapshot.holdReleased && !hasSeat(snapshot.holdClaimed, seat))
      tasks.once("claim-hold", () => chain.claimHold(seat));
    if (!hasSeat(snapshot.released, seat)) this.release(seat);
  }

  /** Fetches the stake. */
  release(seat: number): void {
    this.#tools.tasks.once("release", () => this.#peer.modules.chain.release(seat));
  }

  /** Whether nothing is left to do for a settled job. */
  isDone(snapshot: JobSnapshot, seat: number): boolean {
    const claimed = snapshot.round <= (snapshot.claimedTo[seat] ?? 0);
    const hold = !snapshot.holdReleased || hasSeat(snapshot.holdClaimed, seat);
    // Nobody hears a worker that lost its seat.
    const gone = !hasSeat(snapshot.active, seat) || this.#peer.modules.clock.nowMs() > this.#settledMs + GOODBYE_MS;
    return claimed && hold && hasSeat(snapshot.released, seat) && (this.#finalHeard || gone || snapshot.round === 0);
  }
}
