import type { Hex } from "@skynet/protocol";
import { z } from "zod";
import { reasonOf } from "../errors.ts";
import type { Log } from "../host/log.ts";
import type { DirectoryEntry } from "./directory.ts";
import type { DocumentStore } from "./document-store.ts";
import { MAX_ADDRESSES, parsePresence } from "./presence.ts";
import { parseRelayAddress } from "./relay-address.ts";
import type { RelayStatus } from "./relay-pool.ts";
import type { RelaySource } from "./relay-source.ts";

const MAX_RELAYS = 64;
const MAX_PEERS = 256;
/** What was silent for so long is forgotten. */
const KEEP_MS = 30 * 86_400_000;

const addressesSchema = z.array(z.string().max(256)).min(1).max(MAX_ADDRESSES);
const bookSchema = z.strictObject({
  version: z.literal(1),
  relays: z
    .array(z.strictObject({ multiaddrs: addressesSchema, seenMs: z.int(), latencyMs: z.number().optional() }))
    .max(MAX_RELAYS),
  peers: z
    .array(
      z.strictObject({
        address: z.string().regex(/^0x[0-9a-f]{40}$/),
        multiaddrs: addressesSchema,
        role: z.string().max(32),
        heardMs: z.int(),
      }),
    )
    .max(MAX_PEERS),
});
type Book = z.output<typeof bookSchema>;

/** Relays that answered and nodes that were heard, kept between starts; bounded to 64 and 256. */
export interface PeerBook {
  /** Relays that answered, the last one first. */
  relays(): RelaySource;
  /** Nodes that were heard, the last one first. */
  peers(): DirectoryEntry[];
  /** Takes over what is known now, and writes it if it has changed. Never throws: a full disk stops no node. */
  save(relays: readonly RelayStatus[], peers: readonly DirectoryEntry[]): Promise<void>;
}

/** Everything that is wrong with a book makes it damaged: a half-read one would hide that. */
function parseBook(bytes: Uint8Array): Book {
  const book = bookSchema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  for (const { multiaddrs } of book.relays)
    for (const text of multiaddrs)
      if (parseRelayAddress(text)?.peer === undefined) throw new Error(`bad address ${text}`);
  for (const { address, multiaddrs, role } of book.peers) parsePresence({ multiaddrs, role }, address);
  return book;
}

async function readBook(store: DocumentStore, log: Log): Promise<Book> {
  const empty: Book = { version: 1, relays: [], peers: [] };
  const bytes = await store.read();
  if (bytes === undefined) return empty;
  try {
    return parseBook(bytes);
  } catch (error) {
    const movedTo = await store.setAside();
    log.warn({ error: reasonOf(error), movedTo }, "the address book of peers was damaged: a new one is begun");
    return empty;
  }
}

/** @throws what the store throws when it cannot be read; a damaged document is moved aside with a warning */
export async function openPeerBook(store: DocumentStore, log: Log, clock: () => number): Promise<PeerBook> {
  let book = await readBook(store, log);
  let written = JSON.stringify(book);
  let writing: Promise<void> = Promise.resolve();
  const write = async () => {
    const text = JSON.stringify(book);
    if (text === written) return;
    try {
      await store.write(new TextEncoder().encode(`${JSON.stringify(book, null, 2)}\n`));
      written = text;
    } catch (error) {
      log.warn({ error: reasonOf(error) }, "the address book of peers could not be written");
    }
  };
  return {
    relays: () => ({ name: "book", relays: () => book.relays.flatMap(({ multiaddrs }) => multiaddrs) }),
    peers: () => book.peers.map((peer) => ({ ...peer, address: peer.address as Hex })),
    save: (relays, peers) => {
      book = merge(book, relays, peers, clock() - KEEP_MS);
      // One after the other: the last state wins.
      writing = writing.then(write);
      return writing;
    },
  };
}

/** A flag may leave the PeerId out; the connection has shown it. */
const withPeer = (text: string, peer: string): string =>
  parseRelayAddress(text)?.peer === undefined ? `${text}/p2p/${peer}` : text;

function merge(book: Book, relays: readonly RelayStatus[], peers: readonly DirectoryEntry[], sinceMs: number): Book {
  const byPeer = new Map(book.relays.map((relay) => [parseRelayAddress(relay.multiaddrs[0]!)!.peer!, relay]));
  for (const { peer, multiaddrs, lastSeenMs, latencyMs } of relays)
    if (peer !== undefined && lastSeenMs !== undefined)
      byPeer.set(peer, {
        multiaddrs: multiaddrs.map((text) => withPeer(text, peer)),
        seenMs: lastSeenMs,
        ...(latencyMs === undefined ? {} : { latencyMs }),
      });
  const byAddress = new Map(book.peers.map((one) => [one.address, one]));
  for (const { address, multiaddrs, role, heardMs } of peers)
    if (multiaddrs.length > 0) byAddress.set(address, { address, multiaddrs: [...multiaddrs], role, heardMs });
  return {
    version: 1,
    relays: newest([...byPeer.values()], ({ seenMs }) => seenMs, sinceMs, MAX_RELAYS),
    peers: newest([...byAddress.values()], ({ heardMs }) => heardMs, sinceMs, MAX_PEERS),
  };
}

const newest = <T>(list: readonly T[], timeMs: (one: T) => number, sinceMs: number, most: number): T[] =>
  list
    .filter((one) => timeMs(one) >= sinceMs)
    .toSorted((a, b) => timeMs(b) - timeMs(a))
    .slice(0, most);
