import * as rlp from "@ethereumjs/rlp";
import { CODE_P2P, multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concatBytes, keccak256, type Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { addressFromPublicKey, peerIdFromPublicKey, type Identity } from "../identity/identity.ts";

/** EIP-778. */
const MAX_RECORD_BYTES = 300;
/** Bits of the key `waku2`: relay, store, filter, light push (31/WAKU2-ENR). */
const WAKU_SERVICES = 0b1111;
const text = new TextEncoder();

/** Where a relay is and what it relays, signed by itself: an Ethereum node record (EIP-778, 31/WAKU2-ENR). */
export interface RelayRecord {
  readonly address: Hex;
  readonly peerId: string;
  /** The record with the highest number counts. */
  readonly seq: number;
  /** Each ends in the PeerId. */
  readonly multiaddrs: readonly string[];
  readonly clusterId: number;
  readonly shards: readonly number[];
}

interface RecordContent {
  readonly seq: number;
  readonly multiaddrs: readonly string[];
  readonly clusterId: number;
  readonly shards: readonly number[];
}

type Pairs = readonly (readonly [key: string, value: Uint8Array])[];

/** A record tells of a relay for this time from its signature on; clocks may differ by so much. */
const MAX_AGE_MS = 60 * 60_000;
const CLOCK_SKEW_MS = 10 * 60_000;

/** The number of a record that is signed now: relays of our network count seconds. */
export const sequenceAt = (nowMs: number): number => Math.floor(nowMs / 1000);

/** Whether a record was signed lately: others may pass one on for ever, also when its relay is gone. */
export function isCurrent({ seq }: RelayRecord, nowMs: number): boolean {
  const ageMs = nowMs - seq * 1000;
  return ageMs <= MAX_AGE_MS && ageMs >= -CLOCK_SKEW_MS;
}

/** Signs a record. Addresses are left out from the last one on until it has at most 300 bytes. */
export function encodeRecord(identity: Identity, content: RecordContent): Uint8Array {
  const addresses = content.multiaddrs
    .map((address) => multiaddr(address))
    .filter((address) => !address.getComponents().some(({ name }) => name === "p2p-circuit"))
    .map((address) => address.decapsulateCode(CODE_P2P));
  for (let count = addresses.length; ; count--) {
    const record = sign(identity, content.seq, pairsOf(identity, content, addresses.slice(0, count)));
    if (record.length <= MAX_RECORD_BYTES || count === 0) return record;
  }
}

/** @throws NetworkError `Malformed`, `BadSignature` */
export function decodeRecord(record: Uint8Array): RelayRecord {
  if (record.length > MAX_RECORD_BYTES) throw new NetworkError("Malformed", "a node record that is too large");
  let parsed;
  try {
    parsed = parse(record);
  } catch (cause) {
    throw new NetworkError("Malformed", "not a node record of a relay", { cause });
  }
  const { signature, content, publicKey, multiaddrs, ...rest } = parsed;
  const peerId = peerIdFromPublicKey(publicKey).toString();
  let valid = false;
  try {
    valid = secp256k1.verify(signature, keccak256(content), publicKey, { prehash: false, lowS: true });
  } catch {
    valid = false; // The signature is out of range.
  }
  if (!valid) throw new NetworkError("BadSignature", "the signature of a node record does not fit");
  const whole = multiaddrs.map((address) => `${address.toString()}/p2p/${peerId}`);
  return { address: addressFromPublicKey(publicKey), peerId, multiaddrs: whole, ...rest };
}

function sign({ privateKey }: Identity, seq: number, pairs: Pairs): Uint8Array {
  const content = [seq, ...pairs.flatMap(([key, value]) => [text.encode(key), value])];
  const signature = secp256k1.sign(keccak256(rlp.encode(content)), privateKey, { prehash: false });
  return rlp.encode([signature, ...content]);
}

/** Keys in the order of their names. */
function pairsOf(identity: Identity, { clusterId, shards }: RecordContent, addresses: readonly Multiaddr[]): Pairs {
  const tcp = addresses.find(isTcp);
  const others = addresses.filter((address) => address !== tcp);
  const pairs: [string, Uint8Array][] = [
    ["id", text.encode("v4")],
    ["rs", encodeShards(clusterId, shards)],
    ["secp256k1", identity.compressedPublicKey],
    ["waku2", Uint8Array.of(WAKU_SERVICES)],
  ];
  if (others.length > 0) pairs.push(["multiaddrs", encodeAddresses(others)]);
  // /ip4/A/tcp/P is 04 A 06 P, /ip6/A/tcp/P is 29 A 06 P.
  if (tcp) {
    const six = tcp.getComponents()[0]!.name === "ip6";
    const bytes = tcp.bytes;
    pairs.push([six ? "ip6" : "ip", bytes.slice(1, -3)], [six ? "tcp6" : "tcp", bytes.slice(-2)]);
  }
  return pairs.toSorted(([one], [other]) => (one < other ? -1 : 1));
}

const isTcp = (address: Multiaddr): boolean => /^\/ip[46]\/[^/]+\/tcp\/\d+$/.test(address.toString());

function parse(record: Uint8Array) {
  const [signature, seq, ...rest] = rlp.decode(record) as Uint8Array[];
  const values = new Map<string, Uint8Array>();
  for (let i = 0; i + 1 < rest.length; i += 2) values.set(new TextDecoder().decode(rest[i]!), rest[i + 1]!);
  const get = (key: string): Uint8Array => {
    const value = values.get(key);
    if (!(value instanceof Uint8Array)) throw new Error(`no ${key}`);
    return value;
  };
  if (new TextDecoder().decode(get("id")) !== "v4") throw new Error("another identity scheme");
  const number = (bytes: Uint8Array) => bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const multiaddrs: Multiaddr[] = [];
  for (const [ip, port, code] of [["ip", "tcp", 4] as const, ["ip6", "tcp6", 41] as const]) {
    if (!values.has(ip) || !values.has(port)) continue;
    const bytes = concatBytes(Uint8Array.of(code), get(ip), Uint8Array.of(6), get(port));
    multiaddrs.push(multiaddr(bytes));
  }
  if (values.has("multiaddrs")) multiaddrs.push(...decodeAddresses(get("multiaddrs")));
  if (multiaddrs.some((address) => address.getComponents().some(({ name }) => name === "p2p")))
    throw new Error("an address of another peer");
  return {
    signature: signature!,
    content: rlp.encode([seq!, ...rest]),
    publicKey: get("secp256k1"),
    seq: number(seq!),
    multiaddrs,
    ...decodeShards(get("rs")),
  };
}

/** Each address after its length as big-endian uint16. */
function encodeAddresses(addresses: readonly Multiaddr[]): Uint8Array {
  return concatBytes(...addresses.flatMap(({ bytes }) => [uint16(bytes.length), bytes]));
}

function decodeAddresses(bytes: Uint8Array): Multiaddr[] {
  const addresses: Multiaddr[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = readUint16(bytes, at);
    addresses.push(multiaddr(bytes.slice(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  return addresses;
}

/** Cluster, number of shards, shards (51/WAKU2-RELAY-SHARDING). */
function encodeShards(clusterId: number, shards: readonly number[]): Uint8Array {
  return concatBytes(uint16(clusterId), Uint8Array.of(shards.length), ...shards.map(uint16));
}

function decodeShards(bytes: Uint8Array): { clusterId: number; shards: number[] } {
  const count = bytes[2] ?? 0;
  if (bytes.length !== 3 + 2 * count) throw new Error("not a list of shards");
  const shards = Array.from({ length: count }, (_, i) => readUint16(bytes, 3 + 2 * i));
  return { clusterId: readUint16(bytes, 0), shards };
}

const uint16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);

function readUint16(bytes: Uint8Array, at: number): number {
  if (at + 2 > bytes.length) throw new Error("cut off");
  return bytes[at]! * 256 + bytes[at + 1]!;
}
