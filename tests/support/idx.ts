import { openReader } from "@skynet/storage";

/** All bytes of an IDX file, plain or compressed, without its header. */
export async function idxBytes(file: string): Promise<Uint8Array> {
  const reader = await openReader(file, { format: "idx" });
  const blocks = await Array.fromAsync(reader.blocks());
  await reader.close();
  return Buffer.concat(blocks.map(({ columns }) => columns[0]!.values as Uint8Array));
}
