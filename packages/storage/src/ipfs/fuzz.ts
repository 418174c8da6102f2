// What comes as a file or from peers: CAR files, nodes of files, names of blocks.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { CarWriter } from "@ipld/car";
import { cidOf, codecOfCid, concatBytes, digestOfCid, equalBytes, InvalidInputError } from "@skynet/protocol";
import { CID } from "multiformats/cid";
import type { BlockStore } from "../blocks/block-store.ts";
import { createRandom } from "../blocks/testing-blocks.ts";
import { StorageError } from "../errors.ts";
import { fetchTree } from "./fetch-tree.ts";
import { readParts } from "./file-tree.ts";
import { importBytes } from "./files.ts";
import { importCar } from "./import-car.ts";

interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

type Random = (below: number) => number;

/** Some bytes changed, cut, repeated or inserted. */
function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let changed = bytes.slice();
  for (let i = 1 + random(3); i > 0; i--) {
    const at = random(changed.length + 1);
    const other = random(changed.length + 1);
    const [from, to] = [Math.min(at, other), Math.max(at, other)];
    const kind = random(5);
    if (kind === 0 && changed.length > 0) changed[at % changed.length] = random(256);
    if (kind === 1) changed = changed.slice(0, at);
    if (kind === 2) changed = concatBytes(changed.subarray(0, from), changed.subarray(to));
    if (kind === 3) changed = concatBytes(changed.subarray(0, to), changed.subarray(from));
    if (kind === 4)
      changed = concatBytes(
        changed.subarray(0, at),
        new Uint8Array(1 + random(12)).fill(random(256)),
        changed.subarray(at),
      );
  }
  return changed;
}

export interface MemoryBlocks extends BlockStore {
  readonly blocks: Map<string, Uint8Array>;
}

/** A store for checks. */
export function memoryBlocks(): MemoryBlocks {
  const blocks = new Map<string, Uint8Array>();
  return {
    blocks,
    put: async (bytes, codec) => {
      const cid = await cidOf(bytes, codec);
      blocks.set(cid, bytes);
      return cid;
    },
    get: async (cid) => blocks.get(cid),
    has: async (cid) => blocks.has(cid),
  };
}

/** A small file of some blocks, of two levels. */
async function sample(): Promise<{ store: MemoryBlocks; root: string }> {
  const store = memoryBlocks();
  const content = Uint8Array.from({ length: 2000 }, (_, i) => (i * 7) ^ (i >> 4));
  const root = await importBytes(store, [content], { layout: { chunkBytes: 256, width: 4 } });
  return { store, root };
}

async function carOf({ blocks }: MemoryBlocks, root: string): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create([CID.parse(root)]);
  const parts: Uint8Array[] = [];
  const reading = (async () => {
    for await (const part of out) parts.push(part);
  })();
  for (const [cid, bytes] of blocks) await writer.put({ cid: CID.parse(cid), bytes });
  await writer.close();
  await reading;
  return concatBytes(...parts);
}

const count = (codes: Map<string, number>, code: string) => codes.set(code, (codes.get(code) ?? 0) + 1);

/** Changed CAR files: a named error or blocks of the original, never others than these and never another error. */
async function fuzzCars({ count: rounds, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const random = createRandom(seed);
  const original = await sample();
  const car = await carOf(original.store, original.root);
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-cars-"));
  const codes = new Map<string, number>();
  try {
    for (let i = 0; i < rounds; i++) {
      const file = path.join(folder, "changed.car");
      await fs.writeFile(file, mutate(car, random));
      const store = memoryBlocks();
      const outcome = await importCar(store, file).then(
        () => "taken",
        (error: unknown) => {
          if (error instanceof StorageError) return error.code;
          throw error;
        },
      );
      count(codes, outcome);
      for (const [cid, bytes] of store.blocks)
        if ((await cidOf(bytes, codecOfCid(cid))) !== cid) throw new Error(`${cid} was kept with other bytes`);
      onProgress?.(i + 1);
    }
  } finally {
    await fs.rm(folder, { recursive: true });
  }
  return Object.fromEntries(codes);
}

/** Hostile trees: each block has its hash, but says what its author likes. They are refused, or cost what they say. */
async function fuzzTrees({ count: rounds, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const random = createRandom(seed);
  const { store, root } = await sample();
  const nodes = [...store.blocks].filter(([cid]) => codecOfCid(cid) === "dag-pb");
  const codes = new Map<string, number>();
  const maxBytes = 100_000;
  for (let i = 0; i < rounds; i++) {
    const [, bytes] = random(2) === 0 ? [root, store.blocks.get(root)!] : nodes[random(nodes.length)]!;
    const hostile = await store.put(mutate(bytes, random), "dag-pb");
    const mirror = memoryBlocks();
    let read = 0;
    const fetch = async (
      wanted: readonly { cid: string }[],
      onBlock: (index: number, block: Uint8Array) => Promise<void>,
    ): Promise<void> => {
      for (const [index, { cid }] of wanted.entries()) {
        const block = store.blocks.get(cid);
        if (block === undefined) throw new StorageError("BlockMissing", cid);
        await onBlock(index, block);
      }
    };
    const outcome = await fetchTree(hostile, { store: mirror, fetch, maxBytes })
      .then(async (size) => {
        for await (const part of readParts(mirror, hostile)) read += part.length;
        if (read !== size) throw new Error(`${read} bytes were read of a file of ${size}`);
        return "taken";
      })
      .catch((error: unknown) => {
        if (error instanceof StorageError) return error.code;
        throw error;
      });
    if (read > maxBytes) throw new Error(`${read} bytes were read, at most ${maxBytes} are allowed`);
    count(codes, outcome);
    if (hostile !== root && !nodes.some(([cid]) => cid === hostile)) store.blocks.delete(hostile);
    onProgress?.(i + 1);
  }
  return Object.fromEntries(codes);
}

/** Changed names of blocks: refused, unless they are the name itself. */
async function fuzzNames({ count: rounds, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const random = createRandom(seed);
  const name = await cidOf(Uint8Array.of(1));
  let refused = 0;
  for (let i = 0; i < rounds; i++) {
    const text = new TextDecoder("latin1").decode(mutate(new TextEncoder().encode(name), random));
    try {
      const codec = codecOfCid(text);
      const digest = digestOfCid(text);
      if (!/^b[a-z2-7]{58}$/.test(text) || (equalBytes(digest, digestOfCid(name)) && codec === "raw" && text !== name))
        throw new Error(`two names for one block: ${text}`);
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      refused += 1;
    }
    onProgress?.(i + 1);
  }
  return { refused };
}

export const ipfsFuzzers = { "car-files": fuzzCars, "file-trees": fuzzTrees, "block-names": fuzzNames };
