import { concatBytes, encode, fromHex, keccak256, toHex, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";
import { addressFromPublicKey, type Identity } from "../identity/identity.ts";
import { recoverSigner, signRecoverable } from "../identity/signature.ts";
import { parseRelayAddress } from "./relay-address.ts";

/** Most bytes and relays of a list. */
export const MAX_LIST_BYTES = 64 * 1024;
const MAX_RELAYS = 256;
const MAX_LIFE_MS = 400 * 86_400_000;
/** A list from the future is a wrong clock somewhere. */
const CLOCK_SKEW_MS = 10 * 60_000;

const text = new TextEncoder();
const DOMAIN = keccak256(text.encode("skynet/1/relay-list"));

const contentSchema = z.strictObject({
  version: z.literal(1),
  /** Waku cluster that the relays serve. */
  network: z.int().min(0).max(0xffff),
  /** Grows with each list of a publisher: an older one never replaces a newer one. */
  sequence: z.int().min(1),
  issuedMs: z.int().min(0),
  expiresMs: z.int().min(0),
  /** Multiaddrs, each with the PeerId at its end. */
  relays: z.array(z.string().max(256)).min(1).max(MAX_RELAYS),
});
export type RelayListContent = z.output<typeof contentSchema>;

const listSchema = z.strictObject({ ...contentSchema.shape, signature: z.string().regex(/^0x[0-9a-f]{130}$/) });

/** A list of relays whose signature was checked. */
export interface RelayList extends RelayListContent {
  /** Address of the key that signed it. */
  readonly publisher: Hex;
}

const bad = (message: string, hint?: string, cause?: unknown) =>
  new NetworkError("BadList", message, { ...(hint === undefined ? {} : { hint }), ...(cause ? { cause } : {}) });

/** What a publisher signs: keccak256(keccak256("skynet/1/relay-list"), canonical dag-cbor of everything else). */
const digestOf = (content: RelayListContent): Uint8Array => keccak256(concatBytes(DOMAIN, encode(content)));

function checkContent({ relays, issuedMs, expiresMs }: RelayListContent): void {
  for (const relay of relays)
    if (parseRelayAddress(relay)?.peer === undefined)
      throw bad(
        `not the address of a relay: ${relay}`,
        "addresses look like /dns4/relay.example/tcp/443/wss/p2p/16Uiu2...",
      );
  if (expiresMs <= issuedMs || expiresMs - issuedMs > MAX_LIFE_MS)
    throw bad(
      "the list does not end 1 to 400 days after its issue",
      "publishers renew their lists: sign one that ends sooner",
    );
}

/** The document of a list, as JSON, signed by `publisher`. @throws NetworkError `BadList` */
export function signRelayList(content: Omit<RelayListContent, "version">, publisher: Identity): string {
  const parsed = contentSchema.safeParse({ version: 1, ...content });
  if (!parsed.success) throw bad("not a list of relays", undefined, parsed.error);
  checkContent(parsed.data);
  const signature = toHex(signRecoverable(digestOf(parsed.data), publisher.privateKey));
  return `${JSON.stringify({ ...parsed.data, signature }, null, 2)}\n`;
}

/**
 * Reads a list and finds out who signed it; whether that is somebody to trust is for `checkRelayList`.
 * @throws NetworkError `BadList` when it does not parse or has no signature
 */
export function readRelayList(bytes: Uint8Array): RelayList {
  if (bytes.length > MAX_LIST_BYTES) throw bad(`a list of ${bytes.length} bytes, at most ${MAX_LIST_BYTES} are read`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw bad("not a list of relays: no JSON", "npx skynet relays sign writes one", cause);
  }
  const parsed = listSchema.safeParse(json);
  if (!parsed.success) throw bad("not a list of relays", "npx skynet relays sign writes one", parsed.error);
  const { signature, ...content } = parsed.data;
  checkContent(content);
  const signer = recoverSigner(digestOf(content), fromHex(signature as Hex));
  if (signer === undefined) throw bad("the signature of the list is none");
  return { ...content, publisher: addressFromPublicKey(signer) };
}

export interface ListCheck {
  /** Addresses of the keys that may publish. */
  readonly publishers: readonly Hex[];
  readonly network: number;
  readonly nowMs: number;
}

/** @throws NetworkError `BadList` unless a trusted key signed the list for this network and it is valid now */
export function checkRelayList(list: RelayList, { publishers, network, nowMs }: ListCheck): void {
  if (!publishers.includes(list.publisher))
    throw bad(
      `the list is signed by ${list.publisher}, not by ${publishers.join(" or ")}`,
      "it was changed, or it is another publisher's: name the right key after # in --bootstrap",
    );
  if (list.network !== network) throw bad(`the list is for network ${list.network}, not ${network}`);
  if (list.issuedMs > nowMs + CLOCK_SKEW_MS)
    throw bad("the list is from the future", "check the clock of this machine");
  if (list.expiresMs <= nowMs)
    throw bad(
      `the list expired on ${new Date(list.expiresMs).toISOString().slice(0, 10)}`,
      "ask its publisher for a new one, check the clock of this machine, or name a relay with --relay",
    );
}
