// Test networks in network namespaces: real processes, real sockets, real NAT, and lines that lose packets.
import { execFileSync, fork, spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import type { LabReply, LabRequest } from "./lab-process.ts";
import type { LineCounters } from "./line.ts";
import { namespaceOf, PROBE } from "./namespaces.ts";
import { planMachines, type Access, type Topology } from "./topology.ts";
import { openTun } from "./tun.ts";

export interface Lab {
  /** Of the process that holds it. */
  readonly pid: number;
  /** IPv4 address of a machine, on the internet or in its home network. */
  address(machine: string): string;
  /** What a command line begins with to run on a machine. */
  enter(machine: string): [string, ...string[]];
  /** Starts a program on a machine. What still runs when the lab closes is killed. */
  spawn(machine: string, command: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Starts a Node script on a machine, with an IPC channel. */
  fork(machine: string, script: string, args?: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Gives the line of a machine to the internet other conditions, at once. */
  shape(machine: string, access: Access): Promise<void>;
  /** What passed the line of a machine to the internet so far. */
  count(machine: string): Promise<{ readonly up: LineCounters; readonly down: LineCounters }>;
  /** Ends all processes on its machines and removes everything. */
  close(): Promise<void>;
}

/** Why no lab can be made here, in a few words; undefined when it can. */
export function whyNoLab(): string | undefined {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const probe = namespaceOf(process.pid, PROBE);
  try {
    fs.closeSync(openTun(`sk${process.pid}.t`));
  } catch {
    return "no TUN device can be opened";
  }
  try {
    execFileSync("ip", ["netns", "add", probe], { stdio: "ignore" });
  } catch {
    return "ip cannot add a network namespace";
  }
  try {
    const rules =
      "add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; add rule ip t c masquerade";
    execFileSync("ip", ["netns", "exec", probe, "nft", rules], { stdio: "ignore" });
    return undefined;
  } catch {
    return "nft cannot make a masquerading router";
  } finally {
    execFileSync("ip", ["netns", "delete", probe], { stdio: "ignore" });
  }
}

/** Builds a network. Only root can, see {@link whyNoLab}. @throws Error saying what could not be made */
export async function openLab(topology: Topology): Promise<Lab> {
  const machines = planMachines(topology);
  const child = fork(path.join(import.meta.dirname, "lab-process.ts"), [JSON.stringify(topology)], { execArgv: [] });
  const ended = once(child, "exit");
  const replies = new Map<number, (reply: LabReply) => void>();
  let requests = 0;
  await new Promise<void>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the lab's process ended with code ${code}`)));
    child.on("message", (reply: LabReply) => {
      if ("ready" in reply) resolve();
      else if ("failed" in reply) reject(new Error(reply.failed));
      else replies.get(reply.id)?.(reply);
    });
  });
  const ask = (request: { do: "shape"; machine: string; access: Access } | { do: "count"; machine: string }) =>
    new Promise<LabReply>((resolve, reject) => {
      const id = requests++;
      replies.set(id, resolve);
      child.send({ id, ...request } satisfies LabRequest, (error) => error && reject(error));
    });
  const enter = (machine: string): [string, ...string[]] => {
    if (!machines.some(({ name }) => name === machine)) throw new Error(`the lab has no machine ${machine}`);
    return ["ip", "netns", "exec", namespaceOf(child.pid!, machine)];
  };
  const spawnIn: Lab["spawn"] = (machine, command, options = {}) => {
    const [program, ...args] = enter(machine);
    return spawn(program, [...args, ...command], options);
  };
  return {
    pid: child.pid!,
    address: (machine) => machines.find(({ name }) => name === machine)!.address,
    enter,
    spawn: spawnIn,
    fork: (machine, script, args = [], options = {}) =>
      spawnIn(machine, [process.execPath, script, ...args], {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        ...options,
      }),
    shape: async (machine, access) => void (await ask({ do: "shape", machine, access })),
    count: async (machine) => (await ask({ do: "count", machine })) as Required<Extract<LabReply, { id: number }>>,
    close: async () => {
      if (child.connected) child.send({ id: requests++, do: "close" } satisfies LabRequest);
      await ended;
    },
  };
}
