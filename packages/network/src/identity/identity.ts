import { privateKeyFromRaw, publicKeyFromRaw } from "@libp2p/crypto/keys";
import type { PeerId, PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey, peerIdFromPublicKey as peerIdFromKey, peerIdFromString } from "@libp2p/peer-id";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak256, toHex, type Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";

/** One secp256k1 key as Ethereum account and as libp2p peer. */
export interface Identity {
  /** 32 bytes. */
  readonly privateKey: Uint8Array;
  /** 64 bytes: the uncompressed point without its 0x04 prefix, as Ethereum hashes it. */
  readonly publicKey: Uint8Array;
  /** 33 bytes. */
  readonly compressedPublicKey: Uint8Array;
  /** Lower-case 0x hexadecimal. */
  readonly address: Hex;
  readonly peerId: PeerId;
  /** The same private key in the form that libp2p takes. */
  readonly libp2pKey: PrivateKey;
}

/** @throws NetworkError `BadKey` unless the 32 bytes are a valid secp256k1 private key */
export function createIdentity(privateKey: Uint8Array): Identity {
  if (!(privateKey instanceof Uint8Array) || !secp256k1.utils.isValidSecretKey(privateKey))
    throw new NetworkError("BadKey", "not a secp256k1 private key", { hint: "give 32 random bytes" });
  const compressedPublicKey = secp256k1.getPublicKey(privateKey, true);
  const publicKey = uncompressed(compressedPublicKey);
  const libp2pKey = privateKeyFromRaw(privateKey);
  return {
    privateKey,
    publicKey,
    compressedPublicKey,
    address: addressFromPublicKey(publicKey),
    peerId: peerIdFromPrivateKey(libp2pKey),
    libp2pKey,
  };
}

/**
 * A secret of 32 bytes for one purpose (HKDF-SHA256 of the private key): the same after every restart, and the key does
 * not follow from it, nor the secret of another purpose.
 */
export function deriveSecret({ privateKey }: Pick<Identity, "privateKey">, purpose: string): Uint8Array {
  return hkdf(sha256, privateKey, undefined, new TextEncoder().encode(`skynet/1/secret/${purpose}`), 32);
}

/** Ethereum address of a public key of 33, 64 or 65 bytes. @throws NetworkError `BadKey` */
export function addressFromPublicKey(publicKey: Uint8Array): Hex {
  return toHex(keccak256(uncompressed(publicKey)).subarray(12));
}

/** PeerId of a public key of 33, 64 or 65 bytes. @throws NetworkError `BadKey` */
export function peerIdFromPublicKey(publicKey: Uint8Array): PeerId {
  return peerIdFromKey(publicKeyFromRaw(compressed(publicKey)));
}

/** Ethereum address of a peer: a secp256k1 PeerId embeds the public key. @throws NetworkError `BadKey` */
export function addressFromPeerId(peerId: PeerId | string): Hex {
  return addressFromPublicKey(publicKeyFromPeerId(peerId));
}

/** Compressed public key (33 bytes) that a PeerId embeds. @throws NetworkError `BadKey` */
export function publicKeyFromPeerId(peerId: PeerId | string): Uint8Array {
  let peer: PeerId;
  try {
    peer = typeof peerId === "string" ? peerIdFromString(peerId) : peerId;
  } catch (cause) {
    throw new NetworkError("BadKey", `not a PeerId: ${String(peerId).slice(0, 80)}`, { cause });
  }
  // The base58 decoder skips characters beyond ASCII, so one key would have many texts.
  if (typeof peerId === "string" && peer.toString() !== peerId)
    throw new NetworkError("BadKey", `not a PeerId in its canonical form: ${peerId.slice(0, 80)}`);
  if (peer.type !== "secp256k1" || peer.publicKey === undefined)
    throw new NetworkError("BadKey", `the peer ${String(peer)} does not have a secp256k1 key`);
  return peer.publicKey.raw;
}

function point(publicKey: Uint8Array) {
  try {
    const bytes = publicKey.length === 64 ? Uint8Array.from([4, ...publicKey]) : publicKey;
    return secp256k1.Point.fromBytes(bytes);
  } catch (cause) {
    throw new NetworkError("BadKey", "not a secp256k1 public key", { cause });
  }
}

/** 33 bytes. @throws NetworkError `BadKey` */
export function compressed(publicKey: Uint8Array): Uint8Array {
  return point(publicKey).toBytes(true);
}

/** 64 bytes, without prefix. @throws NetworkError `BadKey` */
function uncompressed(publicKey: Uint8Array): Uint8Array {
  return point(publicKey).toBytes(false).slice(1);
}
