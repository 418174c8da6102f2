/** Sets of at most 256 seats as one unsigned 256-bit integer: seat i is bit i. */
export type SeatSet = bigint;

/** The set that holds only `seat`. */
export function seatBit(seat: number): SeatSet {
  return 1n << BigInt(seat);
}

/** The set of the first `count` seats. */
export function firstSeats(count: number): SeatSet {
  return seatBit(count) - 1n;
}

export function hasSeat(set: SeatSet, seat: number): boolean {
  return ((set >> BigInt(seat)) & 1n) === 1n;
}

export function countSeats(set: SeatSet): number {
  let count = 0;
  for (let rest = set; rest !== 0n; rest &= rest - 1n) count++;
  return count;
}

/** Seats of the set in ascending order. */
export function listSeats(set: SeatSet): number[] {
  const seats: number[] = [];
  for (let seat = 0, rest = set; rest !== 0n; seat++, rest >>= 1n) if ((rest & 1n) === 1n) seats.push(seat);
  return seats;
}

/** Two thirds of `members`, rounded up: the number of signatures that counts as a quorum. */
export function quorumOf(members: number): number {
  return Math.ceil((2 * members) / 3);
}
