import { hasSeat, type Hex } from "@skynet/protocol";

/** One seat's signature over a statement, for instance "ready" or "merge of round 3 with this id". */
interface Entry {
  readonly statement: string;
  readonly signature: Hex;
  readonly received: bigint;
}

/**
 * Collects the workers' signatures of one phase until somebody submits them. A seat may replace its own entry; signatures
 * are checked before they come here.
 */
export class SignatureBoard {
  readonly #entries = new Map<string, Map<number, Entry>>();

  /** `topic` is the phase and round, such as "attest/2". */
  add(topic: string, seat: number, entry: Entry): void {
    const seats = this.#entries.get(topic) ?? new Map<number, Entry>();
    seats.set(seat, entry);
    this.#entries.set(topic, seats);
  }

  /**
   * Seats that signed this statement, ascending, with their signatures. Only seats of `allowed`: the contract refuses
   * the whole transaction when one of the others is among them.
   */
  collected(
    topic: string,
    statement: string,
    allowed: bigint,
  ): { seats: number[]; signatures: Hex[]; received: bigint[] } {
    const entries = [...(this.#entries.get(topic) ?? [])]
      .filter(([seat, entry]) => entry.statement === statement && hasSeat(allowed, seat))
      .sort(([a], [b]) => a - b);
    return {
      seats: entries.map(([seat]) => seat),
      signatures: entries.map(([, entry]) => entry.signature),
      received: entries.map(([, entry]) => entry.received),
    };
  }

  /** Forgets everything but the named topics. */
  keepOnly(topics: readonly string[]): void {
    for (const topic of this.#entries.keys()) if (!topics.includes(topic)) this.#entries.delete(topic);
  }
}
