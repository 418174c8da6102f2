import { CarBlockIterator } from "@ipld/car";
import { MAX_BLOCK_BYTES } from "@skynet/protocol";
import { exporter, type UnixFSEntry } from "ipfs-unixfs-exporter";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";
import { reasonOf, StorageError } from "../errors.ts";
import { parseCid } from "../parse-cid.ts";
import { Retryable } from "./answer-error.ts";
import { baseUrl, createHttp, exchange, readAll, type Http, type HttpAnswer, type HttpOptions } from "./http.ts";
import { isFileCid } from "./unixfs.ts";

/** Asked in this order. The first one serves only paying users of Lighthouse, the others everybody. */
export const GATEWAYS: readonly string[] = [
  "https://gateway.lighthouse.storage",
  "https://trustless-gateway.link",
  "https://ipfs.io",
];

/** Blocks that are fetched at once while a file is walked. */
const BLOCKS_AHEAD = 4;
const SHA2_256 = 0x12;
const CAR = "application/vnd.ipld.car";
const RAW = "application/vnd.ipld.raw";

export interface GatewayOptions {
  readonly gateways?: readonly string[];
  readonly http?: HttpOptions;
}

/** Reads content from gateways that nobody has to trust: every byte is checked against the CID. */
export interface Gateways {
  /** A file of known size, small enough for memory. @throws StorageError `BadAnswer`, `RemoteMissing`, `DownloadFailed` */
  part(cid: string, size: number, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * A file of any size, block by block, from a byte on.
   * @throws StorageError `BadAnswer` when no gateway hands out blocks, `RemoteMissing`, `UnsupportedFile`
   */
  file(cid: string, signal?: AbortSignal): Promise<GatewayFile>;
  /** A file as a gateway sends it, not checked yet, from each gateway in turn. */
  unchecked(cid: string, take: (answer: HttpAnswer) => Promise<boolean>, signal?: AbortSignal): Promise<void>;
}

export interface GatewayFile {
  readonly size: number;
  content(offset: number): AsyncIterable<Uint8Array>;
}

/** @throws InvalidInputError `BadUrl` */
export function createGateways({ gateways = GATEWAYS, http: options }: GatewayOptions = {}): Gateways {
  const http = createHttp({ ...(gateways.length > 1 ? { attempts: 3 } : {}), ...options });
  const bases = gateways.map((gateway) => baseUrl(gateway, "the gateway"));
  const inTurn = async <T>(what: string, read: (base: string) => Promise<T>): Promise<T> => {
    const errors: StorageError[] = [];
    for (const base of bases) {
      try {
        return await read(base);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        errors.push(error);
      }
    }
    throw noneHasIt(what, errors);
  };
  return {
    part: (cid, size, signal) => inTurn(cid, (base) => fetchPart({ http, base, signal }, parseCid(cid), size)),
    async file(cid, signal) {
      const get = (block: CID) => inTurn(block.toString(), (base) => fetchBlock({ http, base, signal }, block));
      const entry = await walk(parseCid(cid), get, signal);
      return {
        size: Number(entry.size),
        content: (offset) => contentOf(entry, offset, signal),
      };
    },
    async unchecked(cid, take, signal) {
      await inTurn(cid, async (base) => {
        const right = await exchange(http, ask({ base, signal }, cid, "", "*/*"), take);
        if (!right) throw new StorageError("BadAnswer", `${base} sends something else as ${cid}`);
      });
    },
  };
}

interface From {
  readonly http: Http;
  readonly base: string;
  readonly signal: AbortSignal | undefined;
}

const ask = ({ base, signal }: Omit<From, "http">, cid: string, query: string, accept: string) => ({
  url: `${base}/ipfs/${cid}${query}`,
  headers: { accept },
  what: `${cid} from ${new URL(base).host}`,
  failure: "DownloadFailed" as const,
  signal,
});

/** One request for all blocks (CAR). A gateway that knows no CAR sends the file itself, which is hashed as a whole. */
async function fetchPart(from: From, cid: CID, size: number): Promise<Uint8Array> {
  const request = ask(from, cid.toString(), "?format=car&dag-scope=all", `${CAR}, */*;q=0.1`);
  // Nodes and CIDs beside the content: about 100 bytes for each of at least 1 KiB.
  const limit = size + Math.ceil(size / 8) + MAX_BLOCK_BYTES;
  return exchange(from.http, request, async (answer) => {
    const isCar = (answer.headers.get("content-type") ?? "").includes(CAR);
    const bytes = await readAll(answer, limit, request.what);
    if (isCar) return fromCar(cid, bytes, size, request.what);
    if (bytes.length === size && (await isFileCid(cid.toString(), () => [bytes]))) return bytes;
    throw wrong(request.what, "its bytes do not have this CID");
  });
}

async function fromCar(root: CID, car: Uint8Array, size: number, what: string): Promise<Uint8Array> {
  const blocks = new Map<string, Uint8Array>();
  try {
    for await (const { cid, bytes } of await CarBlockIterator.fromBytes(car)) {
      if (!(await hasHash(cid, bytes))) throw wrong(what, "a block does not have its hash");
      blocks.set(cid.toString(), bytes);
    }
  } catch (cause) {
    // Gateways break off a CAR when they lose a block: nothing else tells that it is incomplete.
    if (cause instanceof Retryable) throw cause;
    throw wrong(what, "the CAR is cut or malformed");
  }
  const entry = await walk(root, async (cid) => {
    const block = blocks.get(cid.toString());
    if (block === undefined) throw wrong(what, "a block is missing");
    return block;
  });
  if (Number(entry.size) !== size) throw wrong(what, "it has another size than the list of parts says");
  const out = new Uint8Array(size);
  let at = 0;
  for await (const chunk of contentOf(entry, 0)) {
    if (at + chunk.length > size) throw wrong(what, "it is longer than it says");
    out.set(chunk, at);
    at += chunk.length;
  }
  if (at !== size) throw wrong(what, "it is shorter than it says");
  return out;
}

async function fetchBlock(from: From, cid: CID): Promise<Uint8Array> {
  const request = ask(from, cid.toString(), "?format=raw", RAW);
  return exchange(from.http, request, async (answer) => {
    const type = answer.headers.get("content-type") ?? "";
    const bytes = await readAll(answer, MAX_BLOCK_BYTES, request.what);
    if (await hasHash(cid, bytes)) return bytes;
    if (type.includes(RAW)) throw wrong(request.what, "the block does not have this CID");
    // The file, or a page for browsers: asking again brings the same.
    throw new StorageError("BadAnswer", `${request.what}: this gateway does not hand out blocks`);
  });
}

type Walked = Extract<UnixFSEntry, { type: "file" | "raw" | "identity" }>;

async function walk(cid: CID, get: (cid: CID) => Promise<Uint8Array>, signal?: AbortSignal): Promise<Walked> {
  const blocks = {
    async *get(block: CID) {
      yield await get(block);
    },
  };
  const entry = await exporter(cid, blocks as never, signal ? { signal } : {}).catch((cause: unknown) => {
    throw walkError(cid, cause, signal);
  });
  if (entry.type === "file" || entry.type === "raw" || entry.type === "identity") return entry;
  throw new StorageError("UnsupportedFile", `${cid.toString()} is a ${entry.type}, not a file`, {
    hint: "give the CID of one file",
  });
}

/** Errors of ours stay; the others are about a tree of blocks that is no file, whoever made it. */
function walkError(cid: CID, cause: unknown, signal: AbortSignal | undefined): unknown {
  if (cause instanceof StorageError || cause instanceof Retryable || signal?.aborted) return cause;
  return new StorageError("UnsupportedFile", `${cid.toString()} is not a file of IPFS: ${reasonOf(cause)}`, { cause });
}

async function* contentOf(entry: Walked, offset: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const options = { offset, ...(signal ? { signal } : {}), blockReadConcurrency: BLOCKS_AHEAD };
  try {
    yield* entry.content(options);
  } catch (cause) {
    throw walkError(entry.cid, cause, signal);
  }
}

async function hasHash(cid: CID, bytes: Uint8Array): Promise<boolean> {
  if (cid.multihash.code !== SHA2_256)
    throw new StorageError("UnsupportedFile", `${cid.toString()} uses another hash than sha2-256`);
  const { digest } = await sha256.digest(bytes);
  return Buffer.from(digest).equals(cid.multihash.digest);
}

const wrong = (what: string, why: string): Retryable =>
  new Retryable(
    new StorageError("BadAnswer", `${what}: ${why}`, { hint: "the gateway is broken or lies: use others" }),
  );

function noneHasIt(cid: string, errors: readonly StorageError[]): StorageError {
  const [only] = errors;
  if (errors.length === 1 && only !== undefined) return only;
  const codes = new Set(errors.map(({ code }) => code));
  const code = codes.size === 1 ? [...codes][0]! : codes.has("BadAnswer") ? "BadAnswer" : "DownloadFailed";
  return new StorageError(code, `no gateway gave ${cid}: ${errors.map(({ message }) => message).join("; ")}`, {
    cause: errors.at(-1),
    hint: "new uploads need some minutes to be found; or name another gateway with --gateway",
  });
}
