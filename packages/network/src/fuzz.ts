import { cidOf, concatBytes, encode, equalBytes, sha256, SkyNetError, toHex } from "@skynet/protocol";
import { createAssembly } from "./bulk/assembly.ts";
import {
  ANSWER_HEAD_BYTES,
  encodeAnswerHead,
  encodeBlockRequest,
  parseAnswerHead,
  parseBlockRequest,
  type PartRequest,
} from "./bulk/block-messages.ts";
import { deliveryTargets, fuzzDelivery } from "./delivery/fuzz.ts";
import { createDrops, type Drops } from "./host/drops.ts";
import { sealEnvelope } from "./messages/envelope.ts";
import { unwrapKey, wrapKey } from "./identity/group-key.ts";
import { createIdentity } from "./identity/identity.ts";
import { createInbox } from "./messages/inbox.ts";
import { silent } from "./host/log.ts";
import { createRandom, mutate } from "./mutate.ts";
import { readRelayList, signRelayList } from "./discovery/relay-list.ts";
import { parsePresence } from "./discovery/presence.ts";
import { checkReceipt, signReceipt } from "./bulk/receipt.ts";
import { fuzzFrames } from "./testing-hostile/frames.ts";
import { besiege } from "./testing-hostile/siege.ts";
import { encodeAnswer, encodeOffer, parseAnswer, parseOffer } from "./bulk/update-messages.ts";
import { contentTopicOf, encodeWakuMessage, wakuMessageHash } from "./messages/waku-message.ts";

interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

/** A kind of bytes from the network: a valid example, and what the node does with bytes like it. */
interface Target {
  readonly valid: Uint8Array;
  /** Processes bytes. @returns whether they took effect with another meaning than the valid ones */
  readonly process: (bytes: Uint8Array) => Promise<boolean>;
}

const me = createIdentity(new Uint8Array(32).fill(1));
const peer = createIdentity(new Uint8Array(32).fill(2));
const groupKey = new Uint8Array(32).fill(3);
const job = "0x01";

/** Relay messages through the whole inbox: a message that is not byte for byte the valid one must not be delivered. */
function relayTarget(random: (below: number) => number, drops: Drops, encrypted: boolean): Target {
  const contentTopic = contentTopicOf("fuzz");
  const body = { multiaddrs: [], role: "worker", list: [1, "two", null] };
  const options = {
    identity: peer,
    contentTopic,
    seq: 1,
    random: (length: number) => new Uint8Array(length).fill(random(256)),
  };
  const payload = sealEnvelope({ kind: "fuzz", job, body }, encrypted ? { ...options, groupKey } : options);
  const valid = encodeWakuMessage({ payload, contentTopic, timestamp: 1n, ephemeral: true });
  const expected = encode({ kind: "fuzz", job, from: peer.address, seq: 1, body });
  return {
    valid,
    process: async (bytes) => {
      let altered = false;
      const inbox = createInbox({ self: me.address, drops, log: silent });
      const handler = (message: unknown) => void (altered = !equalBytes(encode(message), expected));
      inbox.subscribe("fuzz", handler, encrypted ? { groupKey: () => [groupKey] } : {});
      wakuMessageHash("/waku/2/rs/1729/0", bytes);
      if (inbox.receive(bytes) === "handlerError") throw new Error("the inbox failed in an unexpected way");
      return altered;
    },
  };
}

async function blockTargets(): Promise<Target[]> {
  const block = new TextEncoder().encode("a block of the dataset");
  const cid = await cidOf(block);
  const request: PartRequest = { t: "get", id: 7, cid, from: 0, length: 1000 };
  const answer = concatBytes(encodeAnswerHead({ id: 7, status: 0, size: block.length }), block);
  return [
    {
      valid: encodeBlockRequest(request),
      process: async (bytes) => equalBytes(encodeBlockRequest(parseBlockRequest(bytes)), encodeBlockRequest(request)),
    },
    {
      valid: answer,
      process: async (bytes) => {
        if (bytes.length < ANSWER_HEAD_BYTES) return false;
        const part = bytes.subarray(ANSWER_HEAD_BYTES);
        const { status } = parseAnswerHead(bytes, request, part.length, peer.address);
        return status === 0 && (await cidOf(part)) === cid && !equalBytes(bytes, answer);
      },
    },
  ];
}

async function updateTargets(): Promise<Target[]> {
  const content = new TextEncoder().encode("the weights after a round");
  const hash = await sha256(content);
  const offer = { job, round: 3, kind: "weights", size: content.length, hash, chunks: hash };
  const expected = { job, round: 3, kind: "weights", hash: toHex(hash), sender: me.address, receiver: peer.address };
  const receipt = signReceipt(expected, peer);
  return [
    {
      valid: encodeOffer(offer),
      process: async (bytes) => {
        const assembly = createAssembly(parseOffer(bytes));
        for (const { ref, index } of assembly.missing())
          if (ref.cid === (await cidOf(content)) && ref.size === content.length) assembly.add(index, content);
        return !equalBytes(await assembly.content(), content);
      },
    },
    {
      valid: encodeAnswer({ t: "rejected", reason: "the round is over" }),
      process: async (bytes) => parseAnswer(bytes) === null,
    },
    {
      valid: receipt,
      process: async (bytes) => {
        checkReceipt(bytes, expected);
        return !equalBytes(bytes, receipt);
      },
    },
  ];
}

function otherTargets(): Target[] {
  const wrapped = wrapKey(groupKey, me.publicKey, job);
  const address = `/ip4/127.0.0.1/tcp/4000/p2p/${peer.peerId.toString()}`;
  const times = { issuedMs: 1_800_000_000_000, expiresMs: 1_800_086_400_000 };
  const list = signRelayList({ network: 1, sequence: 1, ...times, relays: [address] }, peer);
  const listed = encode(readRelayList(new TextEncoder().encode(list)));
  return [
    {
      valid: new TextEncoder().encode(list),
      // A changed list has another signer or none; spaces between its parts mean nothing.
      process: async (bytes) => {
        const changed = readRelayList(bytes);
        return changed.publisher === peer.address && !equalBytes(encode(changed), listed);
      },
    },
    {
      valid: wrapped,
      process: async (bytes) => unwrapKey(bytes, me, job).length > 0,
    },
    {
      valid: new TextEncoder().encode(address),
      process: async (bytes) => {
        const { multiaddrs } = parsePresence({ multiaddrs: [new TextDecoder().decode(bytes)], role: "" }, peer.address);
        return !multiaddrs[0]!.endsWith(peer.peerId.toString());
      },
    },
  ];
}

/**
 * Feeds random mutations of valid messages to everything that reads bytes from the network: relay messages in plain
 * and encrypted form, presence addresses, lists of relays, block and update frames, frames of delivery, receipts, wrapped keys.
 * @returns how many were refused by which error code, and how many relay messages were dropped for which reason
 * @throws Error on a crash (an error that is not a SkyNetError) or when a mutation takes effect with another meaning
 */
async function fuzzNetworkMessages({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const random = createRandom(seed);
  const drops = createDrops();
  const relays = [relayTarget(random, drops, false), relayTarget(random, drops, true)];
  const targets = [
    ...relays,
    ...(await blockTargets()),
    ...(await updateTargets()),
    ...otherTargets(),
    ...deliveryTargets(),
  ];
  const refused: Record<string, number> = {};
  for (let done = 0; done < count; done++) {
    const { valid, process } = targets[done % targets.length]!;
    const mutated = mutate(valid, random);
    try {
      if (!equalBytes(mutated, valid) && (await process(mutated)))
        throw new Error(`a changed message was accepted: ${toHex(mutated)}`);
    } catch (error) {
      if (!(error instanceof SkyNetError))
        throw new Error(`crash in mutation ${done} of seed ${seed}`, { cause: error });
      refused[error.code] = (refused[error.code] ?? 0) + 1;
    }
    onProgress?.(done + 1);
  }
  return { targets: targets.length, refused, dropped: drops.snapshot() };
}

export const fuzzers = {
  "network-messages": fuzzNetworkMessages,
  "network-frames": fuzzFrames,
  "hostile-peers": besiege,
  delivery: fuzzDelivery,
};
