import path from "node:path";
import { CarWriter } from "@ipld/car";
import { decode as decodeCbor } from "@ipld/dag-cbor";
import { decode as decodePb } from "@ipld/dag-pb";
import { CID } from "multiformats/cid";
import type { BlockStore } from "../blocks/block-store.ts";
import { writeWhole } from "../disk/durable-file.ts";
import { checkOutput } from "../disk/output-file.ts";
import { reasonOf, StorageError } from "../errors.ts";
import { parseCid } from "../parse-cid.ts";
import { blockOf, isInline, nameOf } from "./helia-blocks.ts";

export interface ExportCarOptions {
  /** Replace a file of that name. */
  readonly overwrite?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((writtenBytes: number) => void) | undefined;
}

interface CarBlock {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

const DAG_PB = 0x70;
const DAG_CBOR = 0x71;

/**
 * Writes a CAR (version 1) with all blocks below a CID, parents first, each once. One block at a time is in memory.
 * @returns its size in bytes
 * @throws StorageError `BlockMissing`, `UnsupportedFile`, `BadFile`, `FileExists`, `DiskFull`, `StoreFailed`; then
 *   nothing is written
 */
export async function exportCar(
  store: Pick<BlockStore, "get">,
  cid: string,
  file: string,
  options: ExportCarOptions = {},
): Promise<number> {
  const { overwrite = false, signal, onProgress } = options;
  const root = parseCid(cid);
  nameOf(root);
  const target = path.resolve(file);
  await checkOutput(target, { overwrite });
  let written = 0;
  const fill = async (write: (bytes: Uint8Array) => Promise<void>) => {
    for await (const bytes of encodeCar(root, blocksBelow(store, root))) {
      signal?.throwIfAborted();
      await write(bytes);
      written += bytes.length;
      onProgress?.(written);
    }
  };
  await writeWhole(target, fill, { overwrite });
  return written;
}

/** The next block is read when the one before was taken. */
async function* encodeCar(root: CID, blocks: AsyncIterable<CarBlock>): AsyncGenerator<Uint8Array> {
  const { writer, out } = CarWriter.create([root as never]);
  let failure: { readonly cause: unknown } | undefined;
  const filling = (async () => {
    for await (const block of blocks) await writer.put(block as never);
  })()
    .catch((cause: unknown) => {
      failure = { cause };
    })
    // Ends the output, whatever came.
    .then(() => writer.close());
  yield* out;
  await filling;
  if (failure !== undefined) throw failure.cause;
}

/** A block and those that it links to, depth first, each once; what stands in a CID itself is no block. */
async function* blocksBelow(store: Pick<BlockStore, "get">, root: CID): AsyncGenerator<CarBlock> {
  const seen = new Set<string>();
  const open = [root];
  for (let cid = open.pop(); cid !== undefined; cid = open.pop()) {
    const key = Buffer.from(cid.multihash.bytes).toString("latin1");
    if (seen.has(key)) continue;
    seen.add(key);
    const inline = isInline(cid);
    const bytes = inline ? cid.multihash.digest : await blockOf(store, nameOf(cid));
    if (!inline) yield { cid, bytes };
    open.push(...linksOf(cid, bytes).reverse());
  }
}

function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  try {
    if (cid.code === DAG_PB) return decodePb(bytes).Links.map(({ Hash }) => Hash as CID);
    return cid.code === DAG_CBOR ? [...linksIn(decodeCbor(bytes))] : [];
  } catch (cause) {
    throw new StorageError("BadFile", `the block ${cid.toString()} is malformed: ${reasonOf(cause)}`, { cause });
  }
}

function* linksIn(value: unknown): Generator<CID> {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  const link = CID.asCID(value);
  if (link !== null) yield link;
  else for (const part of Object.values(value)) yield* linksIn(part);
}
