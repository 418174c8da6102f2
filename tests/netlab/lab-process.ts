// A process that holds one test network and removes it at its end: when it is told to, when whoever started it ends, or
// on a signal. Argument: the topology as JSON. Speaks over the IPC channel.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { Worker } from "node:worker_threads";
import type { ForwarderData } from "./forwarder.ts";
import { LINE_NUMBERS, readCounters, writeConditions, type LineCounters } from "./line.ts";
import { buildNamespaces, removeLeftovers, removeNamespaces } from "./namespaces.ts";
import { planMachines, type Access, type Machine, type Topology } from "./topology.ts";
import { openTun } from "./tun.ts";

export type LabRequest =
  | { readonly id: number; readonly do: "shape"; readonly machine: string; readonly access: Access }
  | { readonly id: number; readonly do: "count"; readonly machine: string }
  | { readonly id: number; readonly do: "close" };

export type LabReply =
  | { readonly ready: true }
  | { readonly failed: string }
  | { readonly id: number; readonly up?: LineCounters; readonly down?: LineCounters };

/** Whether a process is another lab that is alive. */
function isLab(pid: number): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(path.basename(import.meta.filename));
  } catch {
    return false;
  }
}

class Internet {
  readonly #machines: readonly Machine[];
  readonly #count: number;
  readonly #memory: SharedArrayBuffer;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #fds: readonly number[];
  readonly #devices: readonly string[];
  #thread: Worker | undefined;

  constructor(machines: readonly Machine[]) {
    this.#machines = machines;
    this.#count = machines.filter(({ line }) => line !== undefined).length;
    this.#memory = new SharedArrayBuffer(2 * this.#count * LINE_NUMBERS * 8);
    this.#devices = Array.from({ length: this.#count }, (_, i) => `sk${process.pid}.${i}`);
    this.#fds = this.#devices.map((name) => openTun(name));
    for (const { name, line, access } of machines) if (line !== undefined) this.shape(name, access);
  }

  async start(seed: number, onFailure: (error: Error) => void): Promise<void> {
    await buildNamespaces(process.pid, this.#machines, this.#devices);
    const addresses = this.#machines.flatMap(({ line, address }) => (line === undefined ? [] : address));
    const lines = addresses.map((address, i) => ({ address, fd: this.#fds[i]! }));
    const workerData: ForwarderData = { lines, seed, memory: this.#memory, stop: this.#stop };
    this.#thread = new Worker(path.join(import.meta.dirname, "forwarder.ts"), { workerData });
    this.#thread.once("error", onFailure);
    await new Promise((resolve) => this.#thread!.once("online", resolve));
  }

  shape(machine: string, { up = {}, down = {} }: Access): void {
    const line = this.#lineOf(machine);
    writeConditions(this.#numbers(line), up);
    writeConditions(this.#numbers(this.#count + line), down);
  }

  count(machine: string): { up: LineCounters; down: LineCounters } {
    const line = this.#lineOf(machine);
    return { up: readCounters(this.#numbers(line)), down: readCounters(this.#numbers(this.#count + line)) };
  }

  /** Ends the thread first: devices of removed namespaces would keep it busy. */
  async stop(): Promise<void> {
    const ended = this.#thread && new Promise((resolve) => this.#thread!.once("exit", resolve));
    Atomics.store(this.#stop, 0, 1);
    await ended;
    await removeNamespaces(process.pid);
    for (const fd of this.#fds) fs.closeSync(fd);
  }

  #numbers(index: number): Float64Array {
    return new Float64Array(this.#memory, index * LINE_NUMBERS * 8, LINE_NUMBERS);
  }

  #lineOf(machine: string): number {
    const line = this.#machines.find(({ name }) => name === machine)?.line;
    if (line === undefined) throw new Error(`${machine} has no line to the internet of its own`);
    return line;
  }
}

const say = (reply: LabReply) => new Promise((resolve) => process.send?.(reply, resolve) ?? resolve(undefined));

let internet: Internet | undefined;
let ending: Promise<void> | undefined;
function end(code: number): Promise<void> {
  ending ??= (internet?.stop() ?? Promise.resolve())
    .catch((error: unknown) => console.error(error))
    .then(() => process.exit(code));
  return ending;
}

process.once("disconnect", () => void end(0));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(0));
process.on("message", (request: LabRequest) => {
  if (request.do === "close") return void end(0);
  if (request.do === "shape") internet!.shape(request.machine, request.access);
  void say({ id: request.id, ...(request.do === "count" ? internet!.count(request.machine) : {}) });
});

/** Lines must not get slower because the machines of the network are busy. Threads that start later inherit it. */
function takePriority(): void {
  try {
    os.setPriority(os.constants.priority.PRIORITY_HIGH);
  } catch {
    // Some containers do not allow it.
  }
}

try {
  takePriority();
  await removeLeftovers(isLab);
  const topology = JSON.parse(process.argv[2]!) as Topology;
  internet = new Internet(planMachines(topology));
  await internet.start(topology.seed ?? 1, (error) => {
    console.error(error);
    void end(1);
  });
  await say({ ready: true });
} catch (error) {
  await say({ failed: error instanceof Error ? error.message : String(error) });
  await end(1);
}
