import { concatBytes, keccak256, toHex, type Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import type { RandomBytes } from "../identity/group-key.ts";
import { addressFromPublicKey, type Identity } from "../identity/identity.ts";
import { openSealed, sealTo } from "../identity/sealed-box.ts";
import type { RelayMessage } from "../messages/inbox.ts";
import type { MessageChannel } from "./channel.ts";

const SEALED_KIND = "sealed";
const KEY_BYTES = 33;
/** Correspondents whose key is remembered. */
const MAX_KEYS = 4096;

/** Topic of a node's own messages: a hash, so that the address is not in plain sight. */
export function inboxTopic(address: Hex): string {
  return `inbox-${toHex(keccak256(new TextEncoder().encode(`skynet/1/inbox/${address}`))).slice(2, 42)}`;
}

/** Frames outside jobs: each goes to the topic of its recipient, sealed to the recipient's key. */
export class SealedLine {
  readonly topic: string;
  readonly #channel: MessageChannel;
  readonly #identity: Identity;
  readonly #random: RandomBytes;
  readonly #keys = new Map<Hex, Uint8Array>();

  constructor(channel: MessageChannel, identity: Identity, random: RandomBytes) {
    this.topic = inboxTopic(identity.address);
    this.#channel = channel;
    this.#identity = identity;
    this.#random = random;
  }

  keyOf(address: Hex): Uint8Array | undefined {
    return this.#keys.get(address);
  }

  /** @throws NetworkError `BadOption` when the key is another node's, `BadKey` */
  learn(address: Hex, publicKey: Uint8Array): void {
    if (addressFromPublicKey(publicKey) !== address)
      throw new NetworkError("BadOption", `this is not the public key of ${address}`);
    this.#keys.delete(address);
    if (this.#keys.size >= MAX_KEYS) this.#keys.delete(this.#keys.keys().next().value!);
    this.#keys.set(address, publicKey);
  }

  /** @throws NetworkError `Unreachable` without the recipient's key */
  async publish(frame: Uint8Array, to: Hex, ephemeral: boolean): Promise<number> {
    const key = this.#keys.get(to);
    if (key === undefined) throw new NetworkError("Unreachable", `no public key of ${to} is known`);
    const topic = inboxTopic(to);
    // The sender's key comes along: the recipient seals its acknowledgements to it.
    const plain = concatBytes(this.#identity.compressedPublicKey, frame);
    const body = sealTo(plain, key, topic, this.#random);
    const { recipients } = await this.#channel.publish(topic, { kind: SEALED_KIND, job: null, body }, { ephemeral });
    return recipients;
  }

  /** The frame in a message of our topic. @throws NetworkError `Malformed`, `CannotDecrypt`, `BadOption` */
  open({ kind, from, body }: RelayMessage): Uint8Array {
    if (kind !== SEALED_KIND || !(body instanceof Uint8Array))
      throw new NetworkError("Malformed", "not a sealed message");
    const plain = openSealed(body, this.#identity, this.topic);
    this.learn(from, plain.slice(0, KEY_BYTES));
    return plain.subarray(KEY_BYTES);
  }
}
