import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { keystoreAddress, startChild, type SkyNetChild } from "@skynet/node";
import { openLab, type Lab } from "../netlab/lab.ts";
import type { Access, Topology } from "../netlab/topology.ts";
import { createWallet, startLabRelay } from "./lab-relay.ts";

/** A network of SkyNet nodes in a lab: a chain, relays, workers and a requester, each on a machine of its own. */
export interface LabNetwork {
  readonly lab: Lab;
  readonly folder: string;
  readonly rpcUrl: string;
  /** Multiaddrs of the relays; they keep them when they start again. */
  readonly relays: readonly string[];
  /** The first process of each relay, by machine. */
  readonly relayProcesses: ReadonlyMap<string, SkyNetChild>;
  /** Starts the relay on a machine (again). */
  startRelay(machine: string): Promise<SkyNetChild>;
  /** Starts the worker on a machine (again), in its folder and with its wallet. */
  startWorker(machine: string): SkyNetChild;
  /** Starts `skynet train JOB --json` on the requester's machine. */
  train(job: string): SkyNetChild;
  close(): Promise<void>;
}

export interface LabNetworkOptions {
  readonly workers: number;
  /** Default 1. */
  readonly relays?: number;
  /** Line of each worker. */
  readonly access?: Access;
  readonly seed?: number;
}

const CHAIN = path.join(import.meta.dirname, "lab-chain.ts");

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i + 1}`);

/** Starts chain and relays; workers are started by the test. Machines: chain, requester, relay1.., worker1.. */
export async function startLabNetwork(options: LabNetworkOptions): Promise<LabNetwork> {
  const workers = numbered("worker", options.workers);
  const relayMachines = numbered("relay", options.relays ?? 1);
  const access = options.access ?? {};
  const topology: Topology = {
    seed: options.seed ?? 1,
    hosts: {
      ...Object.fromEntries(["chain", "requester", ...relayMachines].map((name) => [name, {}])),
      ...Object.fromEntries(workers.map((name) => [name, { access }])),
    },
  };
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-lab-"));
  const lab = await openLab(topology);
  const children: SkyNetChild[] = [];
  const close = async () => {
    await Promise.all(children.map((child) => child.stop()));
    await lab.close();
    await fs.rm(folder, { recursive: true, force: true });
  };
  try {
    const names = ["requester", ...relayMachines, ...workers];
    const wallets = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await createWallet(folder, name)] as const)),
    );
    const accounts = await Promise.all(names.map((name) => keystoreAddress(wallets[name]![1]!)));
    const chain = lab.fork("chain", CHAIN, [lab.address("chain"), ...accounts]);
    const [{ rpcUrl }] = (await once(chain, "message")) as [{ rpcUrl: string }];
    const start = (machine: string, ...args: string[]) => {
      const child = startChild([...args, ...wallets[machine]!], { through: lab.enter(machine) });
      children.push(child);
      return child;
    };
    const startRelay = async (machine: string) => {
      const relay = await startLabRelay(lab, machine, { folder, wallet: wallets[machine]! });
      children.push(relay);
      return relay;
    };
    const relays: string[] = [];
    const relayProcesses = new Map<string, SkyNetChild>();
    for (const machine of relayMachines) {
      const relay = await startRelay(machine);
      const { multiaddrs } = await relay.event("listening");
      relayProcesses.set(machine, relay);
      relays.push((multiaddrs as string[])[0]!);
    }
    const node = (machine: string, ...args: string[]) => {
      const connection = ["--rpc", rpcUrl, ...relays.flatMap((relay) => ["--relay", relay])];
      return start(machine, ...args, ...connection, "--data", path.join(folder, machine));
    };
    const listen = (machine: string) => ["--listen", `/ip4/${lab.address(machine)}/tcp/0`];
    return {
      lab,
      folder,
      rpcUrl,
      relays,
      relayProcesses,
      startRelay,
      startWorker: (machine) => node(machine, "worker", "--threads", "1", ...listen(machine)),
      train: (job) => node("requester", "train", job, ...listen("requester")),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
