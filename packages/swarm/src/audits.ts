import { drawnSegments, hasSeat, SkyNetError } from "@skynet/protocol";
import { isCurrentAnswer } from "./audit-check.ts";
import { makeAnswers, storedAnswer, type AnsweringSeat, type ProvenRound } from "./audit-answer.ts";
import { SwarmError } from "./errors.ts";
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
/** Refusals of the chain that say that the answer itself is wrong. */
const WRONG_ANSWER = ["ProofRejected", "BadEnd", "BadPath", "BadLength", "BrokenChain", "CommitMismatch"];

/**
 * A worker's part in the audits of proof mode. From the commitment on silence is taken for fraud, so an answer is on
 * disk before it is sent, and is sent until the chain has it or the window ends.
 */
export class Audits {
  readonly #m: PeerModules;
  readonly #tools: AuditTools;
  /** Answers that are on disk, by draw and slot. */
  readonly #answers = new Map<string, SlotAnswer>();
  /** Answers that the chain has refused: what is on disk for them is not used. */
  readonly #refused = new Set<string>();
  /** How often answers were made for a draw. */
  readonly #attempts = new Map<string, number>();
  #drawing: { readonly round: number; readonly abort: AbortController } | undefined;

  constructor(modules: PeerModules, tools: AuditTools) {
    this.#m = modules;
    this.#tools = tools;
  }

  /** Anybody may draw once the beacon has its value; members take turns. */
  draw(snapshot: JobSnapshot, seat: number): void {
    const { tasks, turns } = this.#tools;
    const { round } = snapshot;
    const name = `draw/${round}/${snapshot.phaseAtMs}`;
    if (!turns.isMine(name, rankOf(snapshot, seat), snapshot.nowMs)) return;
    tasks.once(name, async () => {
      const abort = new AbortController();
      this.#drawing = { round, abort };
      const signal = AbortSignal.any([abort.signal, this.#m.signal]);
      try {
        while (!(await before(signal, this.#m.chain.isDrawReady()))) await this.#m.clock.sleep(BEACON_POLL_MS, signal);
        await this.#m.chain.draw();
      } catch (error) {
        if (!abort.signal.aborted) throw error;
      }
    });
  }

  /** A draw that is over needs nobody who waits for its beacon. */
  stopOld({ round, phase }: JobSnapshot): void {
    if (this.#drawing === undefined || (phase === "DRAW" && round === this.#drawing.round)) return;
    this.#drawing.abort.abort(new SwarmError("TooLate", `the draw of round ${this.#drawing.round} is over`));
    this.#drawing = undefined;
  }

  /** Makes and sends the answers that the chain still wants of this seat. */
  answer(
    snapshot: JobSnapshot,
    seat: number,
    prepare: (signal: AbortSignal) => Promise<Omit<ProvenRound, "snapshot" | "seat">>,
  ): void {
    const { tasks, trainerUse } = this.#tools;
    const draw = `${snapshot.round}/${snapshot.seed}`;
    const slots = drawnSegments(snapshot.seed, snapshot.selected, snapshot, seat).map((_, slot) => slot);
    const open = slots.filter((slot) => !hasSeat(BigInt(snapshot.proofMasks[seat] ?? 0), slot));
    if (open.length > 0 && !trainerUse.busy)
      tasks.once(`answers/${draw}/${this.#attempts.get(draw) ?? 0}`, () =>
        trainerUse.run(snapshot, this.#m.signal, async (signal) => {
          const missing = await this.#recall({ snapshot, seat }, draw, open);
          if (missing.length === 0) return;
          const round = { snapshot, seat, ...(await prepare(signal)) };
          for await (const answer of makeAnswers(this.#m, round, missing, signal))
            this.#answers.set(`${draw}/${answer.slot}`, answer);
        }),
      );
    for (const slot of open) {
      const answer = this.#answers.get(`${draw}/${slot}`);
      if (answer) tasks.once(`prove/${draw}/${slot}`, () => this.#send(draw, answer));
    }
  }

  /** An answer that the chain finds wrong is made anew. */
  async #send(draw: string, answer: SlotAnswer): Promise<void> {
    try {
      await this.#m.chain.prove(answer);
    } catch (error) {
      if (error instanceof SkyNetError && WRONG_ANSWER.includes(error.code)) {
        const name = `${draw}/${answer.slot}`;
        this.#refused.add(name);
        this.#answers.delete(name);
        this.#attempts.set(draw, (this.#attempts.get(draw) ?? 0) + 1);
      }
      throw error;
    }
  }

  /** Takes what is on disk from before a restart and still right; returns the slots whose answer must be made. */
  async #recall(of: AnsweringSeat, draw: string, slots: readonly number[]): Promise<number[]> {
    for (const name of this.#answers.keys()) if (!name.startsWith(`${draw}/`)) this.#answers.delete(name);
    const missing: number[] = [];
    for (const slot of slots) {
      const name = `${draw}/${slot}`;
      if (this.#answers.has(name)) continue;
      const stored = this.#refused.has(name) ? undefined : await storedAnswer(this.#m.files, of.snapshot.round, slot);
      if (stored?.slot === slot && (await isCurrentAnswer(this.#m, of, stored))) this.#answers.set(name, stored);
      else missing.push(slot);
    }
    return missing;
  }
}

/** The value, unless the signal aborts before it is there. */
async function before<T>(signal: AbortSignal, value: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    // Also after an abort: a value that fails then must not end the process as unhandled.
    return await Promise.race([aborted.promise, value]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
