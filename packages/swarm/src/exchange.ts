import { countSeats, decode, encode, listSeats, quorumOf, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { ZERO_32 } from "./dataset-plan.ts";
import { SwarmError } from "./errors.ts";
import type { JobPeer, PeerModules } from "./job-peer.ts";
import { bitmapBytes, bitmapFrom } from "./messages.ts";
import type { JobSnapshot } from "./ports.ts";
import type { RoundTools } from "./round-tools.ts";
import { bytesOf } from "./schemas.ts";
import { rankOf } from "./turns.ts";

const attestFile = (round: number) => `attest-${round}.cbor`;
const attestSchema = z.strictObject({ received: bytesOf(32), signature: z.string().regex(/^0x[0-9a-f]{130}$/) });

/** A worker's part in the exchange of a round's updates. */
export class Exchange {
  readonly #m: PeerModules;
  readonly #peer: JobPeer;
  readonly #tools: RoundTools;
  #round = 0;
  #over = new AbortController();

  constructor(peer: JobPeer, tools: RoundTools) {
    this.#m = peer.modules;
    this.#peer = peer;
    this.#tools = tools;
  }

  /** Gives up what is still on its way when its round is over: nobody takes it any more. */
  stopOld({ round }: JobSnapshot): void {
    if (round === this.#round) return;
    this.#over.abort(new SwarmError("TooLate", "the round is over"));
    this.#over = new AbortController();
    this.#round = round;
  }

  /** Sends the own update, takes those of the others, and vouches for what is here. */
  run(snapshot: JobSnapshot, seat: number): void {
    const { round } = snapshot;
    this.#tools.tasks.once(`own/${round}`, async () => {
      await this.#tools.ensureBase(snapshot);
      const own = await this.#tools.own(snapshot);
      await this.#peer.keepUpdate(round, seat, own, own.update);
    });
    if (!this.#tools.tasks.isDone(`own/${round}`)) return;
    const members = listSeats(snapshot.active)
      .filter((other) => other !== seat)
      .map((other) => snapshot.workers[other]!);
    for (const to of [...members, snapshot.requester]) this.#send(snapshot, to);
    const complete = (snapshot.committed & ~this.#peer.received()) === 0n;
    const proving = snapshot.phase === "PROVE";
    const halfTime = proving && snapshot.nowMs >= (snapshot.phaseAtMs + snapshot.phaseEndMs) / 2;
    if (complete || halfTime) this.#tools.tasks.once(`attest/${round}`, () => this.#signAttest(round, seat));
    if (proving) this.#submitAttest(snapshot, seat);
  }

  #send(snapshot: JobSnapshot, to: Hex): void {
    const { round } = snapshot;
    const over = this.#over.signal;
    this.#tools.tasks.once(`send/${round}/${to}`, async () => {
      const own = await this.#tools.own(snapshot);
      const left = snapshot.phaseEndMs - snapshot.nowMs;
      const signal = AbortSignal.any([this.#m.signal, over]);
      const options = { deadlineMs: this.#m.clock.nowMs() + left, signal };
      const sent = this.#m.network.sendUpdate(to, round, own.update, options);
      const receipt = await sent.catch((error: unknown) => {
        if (!over.aborted) throw error;
      });
      if (receipt) await this.#m.files.write(`receipt-${round}-${to}.cbor`, receipt);
    });
  }

  async #signAttest(round: number, seat: number): Promise<void> {
    const { received, signature } = (await this.#storedAttest(round)) ?? (await this.#newAttest(round));
    this.#tools.board.add(`attest/${round}`, seat, { statement: "attest", signature, received });
  }

  async #newAttest(round: number): Promise<{ received: bigint; signature: Hex }> {
    const received = this.#peer.received();
    const signature = await this.#m.chain.signAttest(round, received, ZERO_32);
    await this.#m.files.write(attestFile(round), encode({ received: bitmapBytes(received), signature }));
    return { received, signature };
  }

  /** A worker signs one bitmap a round, also when it was restarted: no emptier one may exist. */
  async #storedAttest(round: number): Promise<{ received: bigint; signature: Hex } | undefined> {
    const stored = await this.#m.files.read(attestFile(round));
    const parsed = attestSchema.safeParse(stored && decode(stored));
    return parsed.success
      ? { received: bitmapFrom(parsed.data.received), signature: parsed.data.signature as Hex }
      : undefined;
  }

  #submitAttest(snapshot: JobSnapshot, seat: number): void {
    const { round } = snapshot;
    const { seats, signatures, received } = this.#tools.board.collected(
      `attest/${round}`,
      "attest",
      snapshot.committed,
    );
    const own = seats.indexOf(seat);
    if (own >= 0) {
      const updates = [...this.#peer.heldUpdates()].map(([held, { cid }]): [number, string] => [held, cid]);
      const [vouched, signature] = [bitmapBytes(received[own]!), signatures[own]!];
      this.#tools.announcements.once(`attest/${round}`, this.#peer.others(), (to, signal) =>
        this.#peer.tell(
          to,
          "attest",
          { round, received: vouched, signature, stats: this.#tools.stats(), updates },
          signal,
        ),
      );
    }
    const members = countSeats(snapshot.committed);
    const complete = seats.length === members;
    if (seats.length < quorumOf(members) || seats.length <= countSeats(snapshot.attested)) return;
    const late = snapshot.nowMs >= snapshot.phaseAtMs + 0.7 * (snapshot.phaseEndMs - snapshot.phaseAtMs);
    if (!complete && !late) return;
    if (this.#tools.turns.isMine(`attest/${round}/${seats.length}`, rankOf(snapshot, seat), snapshot.nowMs))
      this.#tools.tasks.once(`attest/${round}/${seats.join()}`, () =>
        this.#m.chain.attest(seats, received, signatures),
      );
  }
}
