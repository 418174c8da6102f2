import path from "node:path";
import { createHost, createIdentity, type Host } from "@skynet/network";
import { openSqliteMessageStore } from "@skynet/network/node";
import type { Hex } from "@skynet/protocol";
import { openChain } from "../runtime/chain.ts";
import { openLog } from "../runtime/log.ts";
import { sponsoringRole } from "../sponsor/finding.ts";
import { startSponsor, type Sponsor, type SponsorLimits } from "../sponsor/sponsor.ts";

export interface RelayOptions {
  readonly privateKey: Uint8Array;
  readonly listen: string[];
  readonly dataDir: string;
  /** The relay pays the gas of workers. */
  readonly sponsor?: RelaySponsoring | undefined;
}

export interface RelaySponsoring {
  readonly rpcUrl: string;
  /** Only these jobs; every one when none is named. */
  readonly jobs: readonly Hex[];
  readonly limits?: Partial<SponsorLimits>;
}

export interface Relay {
  readonly host: Host;
  readonly sponsor: Sponsor | undefined;
  stop(): Promise<void>;
}

/**
 * A node that carries everybody's messages and keeps a history of them, and pays gas if it is told to.
 * @throws ChainError `ChainUnreachable`, `NotDeployed`; FileError `BrokenBudgetFile`; NetworkError `PortInUse`,
 *   `BrokenHistory`
 */
export async function startRelay({ privateKey, listen, dataDir, sponsor: sponsoring }: RelayOptions): Promise<Relay> {
  const log = openLog(dataDir, "relay");
  const chain = sponsoring && (await openChain(sponsoring.rpcUrl, privateKey));
  const host = await createHost({
    identity: createIdentity(privateKey),
    listen,
    relays: [],
    relayService: true,
    services: { store: openSqliteMessageStore(path.join(dataDir, "messages.sqlite")) },
    role: chain ? sponsoringRole("relay") : "relay",
    log,
  });
  const { signal } = host;
  try {
    const sponsor =
      sponsoring &&
      chain &&
      (await startSponsor({
        host,
        chain,
        log,
        signal,
        file: path.join(dataDir, "sponsor.json"),
        chooses: (job) => sponsoring.jobs.length === 0 || sponsoring.jobs.includes(job),
        ...(sponsoring.limits ? { limits: sponsoring.limits } : {}),
      }));
    return { host, sponsor, stop: () => host.stop() };
  } catch (error) {
    await host.stop();
    throw error;
  }
}
