/** Sets of seats as the contracts keep them: bit i stands for seat i. */
export const bit = (seat: number): bigint => 1n << BigInt(seat);

export const hasSeat = (set: bigint, seat: number): boolean => ((set >> BigInt(seat)) & 1n) === 1n;

/** Seats of a set in ascending order. */
export function seatsOf(set: bigint): number[] {
  const seats: number[] = [];
  for (let seat = 0, rest = set; rest > 0n; seat++, rest >>= 1n) if (rest & 1n) seats.push(seat);
  return seats;
}

export const countOf = (set: bigint): number => seatsOf(set).length;

/** Signatures needed from `members` seats: ceil(2/3), as in the contract. */
export const quorumOf = (members: number): number => Math.floor((2 * members + 2) / 3);
