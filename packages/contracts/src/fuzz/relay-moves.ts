import type { Hex } from "@skynet/protocol";
import type { Agent } from "./agent.ts";
import { MAX_RELAY_LIFETIME, RELAY_DEPOSIT } from "./relay-model.ts";
import { everybody } from "./world.ts";
import type { Call } from "./world.ts";

const ADDRESSES = ["/ip4/1.2.3.4/tcp/4000", "/ip4/1.2.3.4/tcp/4000 /dns4/relay.example/tcp/443/wss"];

/** Calls of the RelayRegistry. */
export class RelayMoves {
  readonly #agent: Agent;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  next(): Call {
    const { random, world, now } = this.#agent;
    const { relays } = world;
    const listed = relays.listed();
    const anyRelay = (): Hex => (listed.length === 0 ? this.#agent.anybody() : random.pick(listed));
    const roll = random.next();
    if (roll < 0.4 || listed.length === 0) return this.#announce();
    const from = this.#agent.mostly(anyRelay(), () => this.#agent.anybody());
    if (roll < 0.6) return world.call(from, "relayRegistry", "renew", this.#lifetime());
    if (roll < 0.75) return world.call(from, "relayRegistry", "withdraw");
    const expired = listed.filter((relay) => relays.entries.get(relay)!.expiry <= now);
    const gone = expired.length === 0 || random.chance(0.3) ? anyRelay() : random.pick(expired);
    return world.call(this.#agent.anybody(), "relayRegistry", "prune", random.chance(0.95) ? gone : from);
  }

  /** Short ones, so that entries expire while somebody looks. */
  #lifetime(): bigint {
    const { random } = this.#agent;
    const short = BigInt(1 + random.below(10));
    return this.#agent.mostly(short, () => random.pick([0n, MAX_RELAY_LIFETIME, MAX_RELAY_LIFETIME + 1n]));
  }

  #announce(): Call {
    const { random, world } = this.#agent;
    const { address, publicKey } = random.pick(everybody);
    const key = this.#agent.mostly(publicKey, () => random.pick(["0x" as Hex, random.pick(everybody).publicKey]));
    const multiaddrs = this.#agent.mostly(random.pick(ADDRESSES), () => "/".repeat(random.pick([0, 256, 257])));
    const needed = RELAY_DEPOSIT - world.relays.deposits.get(address);
    const value = this.#agent.mostly(needed, () => random.pick([0n, RELAY_DEPOSIT, RELAY_DEPOSIT - 1n]));
    return { ...world.call(address, "relayRegistry", "announce", key, multiaddrs, this.#lifetime()), value };
  }
}
