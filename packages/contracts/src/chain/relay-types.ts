import type { Hex } from "@skynet/protocol";
import type { TransactionReceipt } from "viem";
import type { WriteOptions } from "./transactions.ts";

/** A relay that anybody may use. Its multiaddrs are what it says, without its PeerId, and are not checked. */
export interface ChainRelay {
  /** Lower-case address of the relay's node key. */
  readonly relay: Hex;
  /** Compressed, 33 bytes; the contract has checked that `relay` is its address. */
  readonly publicKey: Hex;
  readonly multiaddrs: readonly string[];
  /** Unix seconds. */
  readonly expiry: number;
}

/** Relays that say where they are, on chain. */
export interface RelayRegistry {
  /**
   * Lists this account's node for `lifetime` seconds (at most 7 days), or changes its entry. The first time 0.01 ether
   * is locked. `multiaddrs` together have at most 256 characters, and end before the PeerId.
   * @throws ChainError `BadMultiaddrs`, `BadLifetime`, `NoGasMoney`
   */
  announce(multiaddrs: readonly string[], lifetime: number, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Moves the end of this account's entry to `lifetime` seconds from now. @throws ChainError `NotListed` */
  renew(lifetime: number, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Ends this account's entry and returns the ether. @throws ChainError `NoDeposit` */
  withdraw(options?: WriteOptions): Promise<TransactionReceipt>;
  /** Takes an expired entry off the list. @throws ChainError `NotExpired`, `NotListed` */
  prune(relay: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Wei that are locked. */
  deposit(relay?: Hex): Promise<bigint>;
  /** Entry of a relay, also when it has expired; undefined when it is not listed. */
  entry(relay?: Hex): Promise<ChainRelay | undefined>;
  /** Number of entries, expired ones included. */
  count(): Promise<number>;
  /** Entries that have not expired, out of the `most` (256) from place `from` (0) on. */
  list(range?: { from?: number; most?: number }): Promise<ChainRelay[]>;
  /** Entries that have expired and that nobody has pruned, out of the same. */
  expired(range?: { from?: number; most?: number }): Promise<ChainRelay[]>;
}
