// A relay in a process of its own, for tests. Arguments: its number, and the multiaddrs of relays that it knows. The
// variable PORT chooses the port, for a relay that comes back; with WS it listens for WebSockets too; HISTORY names the
// file of its history, which is in memory otherwise.
import { createHost } from "./host/host.ts";
import { openSqliteMessageStore } from "./node/sqlite-message-store.ts";
import { identityOf } from "./testing.ts";

const [number, ...relays] = process.argv.slice(2);
const listen = [`/ip4/127.0.0.1/tcp/${process.env.PORT ?? 0}`, ...(process.env.WS ? ["/ip4/127.0.0.1/tcp/0/ws"] : [])];
const { HISTORY } = process.env;
const services = HISTORY ? { store: openSqliteMessageStore(HISTORY) } : {};
const host = await createHost({ identity: identityOf(Number(number)), relayService: true, listen, relays, services });
process.on("disconnect", () => void host.stop());
process.on("message", () => process.send!(host.relays().filter(({ state }) => state === "live").length));
process.send!({ multiaddrs: host.multiaddrs() });
