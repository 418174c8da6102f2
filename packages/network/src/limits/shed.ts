/** Bytes that a connection makes us hold, and the address group that it comes from. */
export interface Holder {
  readonly group: string;
  readonly bytes: number;
}

/**
 * Which connections to end so that the others hold no more than `mostBytes` together: the largest of the address group
 * that holds most, again and again. So many small ones of one address cannot make a larger one of another pay.
 */
export function shed<T extends Holder>(holders: readonly T[], mostBytes: number): T[] {
  const sums = new Map<string, number>();
  for (const { group, bytes } of holders) sums.set(group, (sums.get(group) ?? 0) + bytes);
  let sum = [...sums.values()].reduce((total, bytes) => total + bytes, 0);
  const smallestFirst = holders.toSorted((a, b) => a.bytes - b.bytes);
  const left = Map.groupBy(smallestFirst, ({ group }) => group);
  const ended: T[] = [];
  while (sum > mostBytes) {
    const [group, bytes] = [...sums].reduce((most, one) => (one[1] > most[1] ? one : most));
    const largest = left.get(group)!.pop()!;
    sums.set(group, bytes - largest.bytes);
    sum -= largest.bytes;
    ended.push(largest);
  }
  return ended;
}
