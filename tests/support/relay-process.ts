// Relays in processes of their own.
import { fork } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

const script = path.join(import.meta.dirname, "..", "..", "packages", "network", "src", "testing-relay.ts");

export interface RelayProcess {
  /** Addresses over TCP, and over WebSockets. */
  readonly tcp: string;
  readonly ws: string;
  /** Ends it without a word, like a machine that fails. */
  kill(): Promise<void>;
}

/**
 * @param number identity of the relay
 * @param relays multiaddrs of others that it stays connected to
 * @param history SQLite file of what it keeps; default: in memory
 */
export async function startRelayProcess(
  number: number,
  relays: readonly string[] = [],
  history?: string,
): Promise<RelayProcess> {
  const env = { ...process.env, WS: "1", ...(history === undefined ? {} : { HISTORY: history }) };
  const child = fork(script, [String(number), ...relays], { execArgv: [], env });
  const [{ multiaddrs }] = (await once(child, "message")) as [{ multiaddrs: string[] }];
  const ended = once(child, "exit");
  return {
    tcp: multiaddrs.find((address) => /\/tcp\/\d+\/p2p\//.test(address))!,
    ws: multiaddrs.find((address) => address.includes("/ws/p2p/"))!,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
