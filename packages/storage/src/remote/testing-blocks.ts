import { CarWriter } from "@ipld/car";
import { exporter } from "ipfs-unixfs-exporter";
import { importer } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { balanced } from "ipfs-unixfs-importer/layout";
import { CID } from "multiformats/cid";
import { LAYOUTS } from "./unixfs.ts";

/** Blocks in memory, as the node behind a service has them. */
export class TestBlocks {
  readonly #blocks = new Map<string, Uint8Array>();

  async put(cid: CID, bytes: Uint8Array): Promise<CID> {
    this.#blocks.set(cid.toString(), bytes);
    return cid;
  }

  async *get(cid: CID): AsyncGenerator<Uint8Array> {
    const bytes = this.#blocks.get(cid.toString());
    if (bytes === undefined) throw new Error(`no block ${cid.toString()}`);
    yield bytes;
  }

  has(cid: string): boolean {
    return this.#blocks.has(cid);
  }

  block(cid: string): Uint8Array | undefined {
    return this.#blocks.get(cid);
  }

  /** Adds a file in one of the layouts and returns its CID. */
  async add(content: Uint8Array, { chunkBytes, width } = LAYOUTS[0]!): Promise<string> {
    let cid = "";
    const options = {
      cidVersion: 1 as const,
      rawLeaves: true,
      chunker: fixedSize({ chunkSize: chunkBytes }),
      layout: balanced({ maxChildrenPerNode: width }),
    };
    for await (const entry of importer([{ content }], this as never, options)) cid = entry.cid.toString();
    return cid;
  }

  async file(cid: string): Promise<Uint8Array> {
    const entry = await exporter(CID.parse(cid), this as never);
    const chunks: Uint8Array[] = [];
    if (entry.type === "file" || entry.type === "raw") for await (const chunk of entry.content()) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** All blocks below a CID, parents first, as a CAR of version 1. */
  async car(cid: string): Promise<Uint8Array> {
    const root = CID.parse(cid);
    const { writer, out } = CarWriter.create([root]);
    const chunks: Uint8Array[] = [];
    const reading = (async () => {
      for await (const chunk of out) chunks.push(chunk);
    })();
    const recorded = new Map<string, Uint8Array>();
    const recording = {
      get: async function* (this: void, inner: CID, from: TestBlocks) {
        for await (const bytes of from.get(inner)) {
          recorded.set(inner.toString(), bytes);
          yield bytes;
        }
      },
    };
    const entry = await exporter(root, { get: (inner: CID) => recording.get(inner, this) } as never);
    if (entry.type === "file" || entry.type === "raw") for await (const _ of entry.content()) void _;
    for (const [key, bytes] of recorded) await writer.put({ cid: CID.parse(key), bytes });
    await writer.close();
    await reading;
    return Buffer.concat(chunks);
  }
}
