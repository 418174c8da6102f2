import type { Hex } from "@skynet/protocol";
import { encodeFunctionResult, keccak256, zeroAddress, zeroHash } from "viem";
import { relayRegistryAbi } from "../chain/abi.ts";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Table } from "./journal.ts";
import { answerOf, callOf } from "./words.ts";

interface RelayEntry {
  readonly expiry: number;
  readonly odd: boolean;
  readonly x: Hex;
  readonly multiaddrs: string;
}

export const RELAY_DEPOSIT = 10n ** 16n;
export const MAX_RELAY_LIFETIME = 7n * 86_400n;
const MAX_BYTES = 256;
const NOTHING = { relay: zeroAddress, expiry: 0, odd: false, x: zeroHash, multiaddrs: "" };

/** Twin of `RelayRegistry.sol`. */
export class RelayModel {
  readonly entries: Table<RelayEntry | undefined>;
  readonly deposits: Table<bigint>;
  /** The relay at each place of the list. */
  readonly places: Table<Hex | undefined>;
  readonly length: Table<number>;
  readonly #env: Environment;

  constructor(env: Environment, journal: Journal) {
    this.#env = env;
    const to = env.addresses.relayRegistry;
    this.entries = new Table<RelayEntry | undefined>(journal, "relays", undefined, ([relay], entry) => ({
      to,
      data: callOf("entry(address)", relay as Hex),
      answer: encodeFunctionResult({
        abi: relayRegistryAbi,
        functionName: "entry",
        result: entry === undefined ? NOTHING : { relay: relay as Hex, ...entry },
      }),
    }));
    this.deposits = new Table(journal, "relay deposits", 0n, ([relay], deposit) => ({
      to,
      data: callOf("deposits(address)", relay as Hex),
      answer: answerOf(deposit),
    }));
    this.places = new Table<Hex | undefined>(journal, "relay places", undefined, ([place], relay) => ({
      to,
      data: callOf("page(uint256,uint256)", Number(place), 1),
      answer: encodeFunctionResult({
        abi: relayRegistryAbi,
        functionName: "page",
        result: relay === undefined ? [] : [{ relay, ...this.entries.get(relay)! }],
      }),
    }));
    this.length = new Table(journal, "relay count", 0, (_, count) => ({
      to,
      data: callOf("count()"),
      answer: answerOf(count),
    }));
  }

  listed(): Hex[] {
    return Array.from({ length: this.length.get() }, (_, place) => this.places.get(String(place))!);
  }

  #expiry(lifetime: bigint): number {
    need(lifetime > 0n && lifetime <= MAX_RELAY_LIFETIME, "BadLifetime");
    return this.#env.now + Number(lifetime);
  }

  #remove(relay: Hex): void {
    const all = this.listed();
    const last = all.length - 1;
    this.places.set([String(all.indexOf(relay))], all[last]);
    this.places.set([String(last)], undefined);
    this.length.set([], last);
    this.entries.set([relay], undefined);
  }

  announce(from: Hex, value: bigint, publicKey: Hex, multiaddrs: string, lifetime: bigint): void {
    const right = publicKey.length === 130 && `0x${keccak256(publicKey).slice(26)}` === from;
    need(right, "BadRelayKey");
    const length = new TextEncoder().encode(multiaddrs).length;
    need(length > 0 && length <= MAX_BYTES, "BadMultiaddrs");
    const expiry = this.#expiry(lifetime);
    const needed = RELAY_DEPOSIT - this.deposits.get(from);
    need(value === needed, "BadDeposit", needed);
    this.deposits.set([from], RELAY_DEPOSIT);
    const odd = Number.parseInt(publicKey.slice(-1), 16) % 2 === 1;
    const before = this.entries.get(from);
    this.entries.set([from], { expiry, odd, x: publicKey.slice(0, 66) as Hex, multiaddrs });
    if (before !== undefined) return;
    const place = this.length.get();
    this.places.set([String(place)], from);
    this.length.set([], place + 1);
  }

  readonly calls = {
    renew: (from: Hex, lifetime: bigint): void => {
      const entry = this.entries.get(from);
      need(entry !== undefined, "NotListed");
      this.entries.set([from], { ...entry, expiry: this.#expiry(lifetime) });
    },
    withdraw: (from: Hex): void => {
      need(this.deposits.get(from) > 0n, "NoDeposit");
      this.deposits.set([from], 0n);
      if (this.entries.get(from) !== undefined) this.#remove(from);
    },
    prune: (_from: Hex, relay: Hex): void => {
      const entry = this.entries.get(relay);
      need(entry !== undefined, "NotListed");
      need(this.#env.now >= entry.expiry, "NotExpired", BigInt(entry.expiry));
      this.#remove(relay);
    },
  };
}
