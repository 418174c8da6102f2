// Gas of the list of relays.
import type { Chain } from "../chain/types.ts";
import type { TestChain } from "../test-chain.ts";
import type { GasMeter } from "./meter.ts";

export async function measureRelays(chain: TestChain, meter: GasMeter): Promise<void> {
  const [first, second] = chain.parties as [Chain, Chain];
  const address = "/ip4/203.0.113.7/tcp/60000";
  const longest = ["/dns4/relay.example/tcp/443/wss".padEnd(256, "a")];
  await meter.take("RelayRegistry.announce", "first time, one address", first.relays.announce([address], 86_400));
  await meter.take("RelayRegistry.announce", "256 bytes of addresses", second.relays.announce(longest, 60));
  await meter.take("RelayRegistry.renew", "one call", first.relays.renew(86_400));
  await chain.advance(61);
  await meter.take("RelayRegistry.prune", "256 bytes of addresses", first.relays.prune(second.address));
  await meter.take("RelayRegistry.withdraw", "listed, one address", first.relays.withdraw());
}
