import path from "node:path";
import { createHost, createIdentity, type Host } from "@skynet/network";
import { openSqliteMessageStore } from "@skynet/network/node";
import type { Hex } from "@skynet/protocol";
import type { Bootstrap } from "../runtime/bootstrap.ts";
import { openDiscovery } from "../runtime/discovery.ts";
import { openChain } from "../runtime/chain.ts";
import { openLog } from "../runtime/log.ts";
import { keepListed } from "./relay-listing.ts";
import { sponsoringRole } from "../sponsor/finding.ts";
import { startSponsor, type Sponsor, type SponsorLimits } from "../sponsor/sponsor.ts";

export interface RelayOptions {
  readonly privateKey: Uint8Array;
  readonly listen: string[];
  readonly dataDir: string;
  /** Other relays to stay connected to. */
  readonly relays?: readonly string[] | undefined;
  readonly bootstrap?: Bootstrap | undefined;
  /** Chain on whose list this relay is while it runs. */
  readonly register?: string | undefined;
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
 * A node that carries everybody's messages, and pays gas or is on the chain's list of relays if it is told to.
 * @throws ChainError `ChainUnreachable`, `NotDeployed`; FileError `BrokenBudgetFile`; NetworkError `PortInUse`
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { privateKey, listen, dataDir, sponsor: sponsoring, register } = options;
  const log = openLog(dataDir, "relay");
  const rpcUrl = sponsoring?.rpcUrl ?? register;
  const chain = rpcUrl === undefined ? undefined : await openChain(rpcUrl, privateKey);
  const host = await createHost({
    identity: createIdentity(privateKey),
    listen,
    relays: options.relays ?? [],
    ...(await openDiscovery({ dataDir, log, bootstrap: options.bootstrap, chain })),
    relayService: true,
    services: { store: openSqliteMessageStore(path.join(dataDir, "messages.sqlite")) },
    role: sponsoring ? sponsoringRole("relay") : "relay",
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
    const listing =
      register !== undefined && chain
        ? await keepListed({ chain, multiaddrs: () => host.multiaddrs(), log, signal })
        : undefined;
    const stop = async () => {
      await listing?.withdraw();
      await host.stop();
    };
    return { host, sponsor, stop };
  } catch (error) {
    await host.stop();
    throw error;
  }
}
