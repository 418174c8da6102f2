import { drawnSegments, hasSeat } from "@skynet/protocol";
import { makeAnswers, storedAnswer, type ProvenRound } from "./audit-answer.ts";
import type { PeerModules } from "./job-peer.ts";
import type { JobSnapshot, SlotAnswer } from "./ports.ts";
import type { TaskSet } from "./tasks.ts";
import type { TrainerUse } from "./trainer-use.ts";
import { rankOf, type Turns } from "./turns.ts";

export interface AuditTools {
  readonly tasks: TaskSet;
  readonly turns: Turns;
  readonly trainerUse: TrainerUse;
}

const BEACON_POLL_MS = 250;

/**
 * A worker's part in the audits of proof mode. From the commitment on silence is taken for fraud, so an answer is on
 * disk before it is sent, and is sent until the chain has it or the window ends.
 */
export class Audits {
  readonly #m: PeerModules;
  readonly #tools: AuditTools;
  /** Answers that are on disk, by round and slot. */
  readonly #answers = new Map<string, SlotAnswer>();

  constructor(modules: PeerModules, tools: AuditTools) {
    this.#m = modules;
    this.#tools = tools;
  }

  /** Anybody may draw once the beacon has its value; members take turns. */
  draw(snapshot: JobSnapshot, seat: number): void {
    const { tasks, turns } = this.#tools;
    const name = `draw/${snapshot.round}`;
    if (!turns.isMine(name, rankOf(snapshot, seat), snapshot.nowMs)) return;
    tasks.once(name, async () => {
      while (!(await this.#m.chain.isDrawReady())) await this.#m.clock.sleep(BEACON_POLL_MS, this.#m.signal);
      await this.#m.chain.draw();
    });
  }

  /** Makes and sends the answers that the chain still wants of this seat. */
  answer(snapshot: JobSnapshot, seat: number, prepare: () => Promise<Omit<ProvenRound, "snapshot" | "seat">>): void {
    const { tasks, trainerUse } = this.#tools;
    const { round } = snapshot;
    const slots = drawnSegments(snapshot.seed, snapshot.selected, snapshot, seat).map((_, slot) => slot);
    const open = slots.filter((slot) => !hasSeat(BigInt(snapshot.proofMasks[seat] ?? 0), slot));
    if (open.length > 0 && !trainerUse.busy)
      tasks.once(`answers/${round}`, () =>
        trainerUse.run(snapshot, this.#m.signal, async (signal) => {
          const missing = await this.#recall(round, open);
          if (missing.length === 0) return;
          for await (const answer of makeAnswers(this.#m, { snapshot, seat, ...(await prepare()) }, missing, signal))
            this.#answers.set(`${round}/${answer.slot}`, answer);
        }),
      );
    for (const slot of open) {
      const answer = this.#answers.get(`${round}/${slot}`);
      if (answer) tasks.once(`prove/${round}/${slot}`, () => this.#m.chain.prove(answer));
    }
  }

  /** Takes what is on disk from before a restart; returns the slots whose answer must be made. */
  async #recall(round: number, slots: readonly number[]): Promise<number[]> {
    this.#answers.clear();
    const missing: number[] = [];
    for (const slot of slots) {
      const stored = await storedAnswer(this.#m.files, round, slot);
      if (stored) this.#answers.set(`${round}/${slot}`, stored);
      else missing.push(slot);
    }
    return missing;
  }
}
