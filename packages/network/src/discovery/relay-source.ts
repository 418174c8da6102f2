import type { DirectoryEntry } from "./directory.ts";
import type { Scope } from "../ip/scope.ts";

/** Where relays are known from. Trusted ones first: the pool tries them in this order. */
export const SOURCE_RANKS = ["flag", "bootstrap", "book", "registry", "presence", "exchange"] as const;
export type SourceName = (typeof SOURCE_RANKS)[number];

/** Whether the user named a relay, by a flag or by whose list it is on: others may name anybody. */
export const isNamed = ({ sources }: { readonly sources: readonly SourceName[] }): boolean =>
  sources.includes("flag") || sources.includes("bootstrap");

/** Names relays that a node may connect to. */
export interface RelaySource {
  readonly name: SourceName;
  /**
   * The narrowest addresses that this source may name; others are ignored. Strangers must not make a node dial its own
   * machine or its own network. Default: every address.
   */
  readonly scope?: Scope;
  /**
   * Multiaddrs of relays that end in a PeerId. Called at start, each minute, when another relay comes into use, and more
   * often while relays are short.
   * @param live PeerIds of the relays in use; none by default
   */
  relays(signal: AbortSignal, live?: readonly string[]): Promise<readonly string[]> | readonly string[];
}

/** Whether anybody may name relays through a source, at no cost. */
export const isOpen = (name: SourceName): boolean => name === "presence" || name === "exchange";

/** A source that always says the same. */
export const fixedRelays = (name: SourceName, relays: readonly string[]): RelaySource => ({
  name,
  relays: () => relays,
});

/** Whether a presence says that its node is a relay; a relay that also pays gas says so after its role. */
export const isRelayRole = (role: string): boolean => /^relay\b/.test(role);

/** Relays that say so themselves: everybody hears the presence of a relay through the one it knows. */
export function presentRelays(directory: { entries(): readonly DirectoryEntry[] }): RelaySource {
  return {
    name: "presence",
    relays: () =>
      directory
        .entries()
        .filter(({ role }) => isRelayRole(role))
        .toSorted((a, b) => b.heardMs - a.heardMs)
        .flatMap(({ multiaddrs }) => multiaddrs),
  };
}
