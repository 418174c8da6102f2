import { listSeats } from "@skynet/protocol";
import type { JobSnapshot } from "./ports.ts";

/** Pause between two members that could send the same transaction, so that usually one of them does. */
const TURN_MS = 2500;

/** Rank of a seat among the active ones, rotated by the round so that the fees go round. 0 sends first. */
export function rankOf(snapshot: JobSnapshot, seat: number): number {
  const seats = listSeats(snapshot.active);
  const position = Math.max(seats.indexOf(seat), 0);
  return (position + seats.length - (snapshot.round % Math.max(seats.length, 1))) % Math.max(seats.length, 1);
}

/** Remembers since when something could be sent, and says whose turn it is. */
export class Turns {
  readonly #sinceMs = new Map<string, number>();

  /** True once `rank` pauses have passed since the first call with this name. */
  isMine(name: string, rank: number, nowMs: number): boolean {
    const since = this.#sinceMs.get(name) ?? nowMs;
    this.#sinceMs.set(name, since);
    return nowMs - since >= rank * TURN_MS;
  }
}
