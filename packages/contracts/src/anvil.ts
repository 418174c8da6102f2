import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Hex } from "@skynet/protocol";
import { AnvilError } from "./errors.ts";
import { DEVELOPMENT_CHAIN_ID } from "./deployment/deploy.ts";

export interface AnvilOptions {
  /** Folder of the chain's state; the chain goes on where it stopped. Without it the chain lives in memory only. */
  readonly dataDir?: string;
  /** Default: a free port. */
  readonly port?: number;
  /** Seconds between blocks, default 1; 0 makes a block for each transaction. */
  readonly blockTimeSeconds?: number;
  /** Whether each transaction gets a block at once besides those that come with time, default false. */
  readonly mixedMining?: boolean;
  /** Seconds between writes of the state, default 1; what came after the last one is lost in a crash. */
  readonly stateIntervalSeconds?: number;
  /** Default 31337, the development chain. */
  readonly chainId?: number;
  /** Receives what anvil prints. */
  readonly log?: (line: string) => void;
  /** Stops the chain. */
  readonly signal?: AbortSignal;
  /** More arguments for anvil. */
  readonly extraArguments?: readonly string[];
}

export interface Anvil {
  readonly rpcUrl: string;
  readonly port: number;
  readonly pid: number;
  /** Stops the process after it has written its state. */
  stop(): Promise<void>;
  /** Gives an account gas money: sets its balance in wei. */
  setBalance(address: Hex, wei: bigint): Promise<void>;
}

const pidFile = (dataDir: string) => path.join(dataDir, "anvil.pid");
const stateFile = (dataDir: string) => path.join(dataDir, "state.json");
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/** The binary of this platform, from its npm package and not from the PATH. */
function binaryPath(): string {
  const require = createRequire(import.meta.url);
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  try {
    const fromAnvil = createRequire(require.resolve("@foundry-rs/anvil/package.json"));
    const folder = path.dirname(fromAnvil.resolve(`${name}/package.json`));
    return path.join(folder, "bin", process.platform === "win32" ? "anvil.exe" : "anvil");
  } catch (cause) {
    throw new AnvilError("AnvilMissing", `the package ${name} is not installed`, {
      hint: "run npm install; on a platform without anvil, connect to a chain through its RPC URL",
      cause,
    });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

async function assertPortFree(port: number): Promise<void> {
  const server = net.createServer();
  const taken = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(true));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(false)));
  });
  if (taken)
    throw new AnvilError("PortInUse", `port ${port} is in use`, {
      hint: "stop the program that uses it, or choose another port",
    });
}

async function rpc(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    signal: AbortSignal.timeout(5_000),
  });
  const reply = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (reply.error !== undefined) throw new AnvilError("RpcError", `${method}: ${reply.error.message}`);
  return reply.result;
}

async function waitUntilReady(child: ChildProcess, url: string, output: readonly string[]): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    try {
      await rpc(url, "eth_chainId", []);
      return;
    } catch {
      await sleep(20);
    }
  }
  child.kill("SIGKILL");
  throw new AnvilError("AnvilFailed", `anvil did not start: ${output.slice(-5).join(" ").trim() || "no answer"}`, {
    hint: "if the state file is damaged, move the data folder away and start again",
  });
}

function argumentsFor(options: AnvilOptions, port: number): string[] {
  const blockTime = options.blockTimeSeconds ?? 1;
  const network = `--host 127.0.0.1 --port ${port} --chain-id ${options.chainId ?? DEVELOPMENT_CHAIN_ID} --hardfork prague`;
  const { dataDir, stateIntervalSeconds = 1 } = options;
  const keep = ["--state-interval", String(stateIntervalSeconds), "--preserve-historical-states"];
  const storage = dataDir === undefined ? [] : ["--state", stateFile(dataDir), ...keep];
  const mining = blockTime > 0 ? ["--block-time", String(blockTime)] : [];
  if (options.mixedMining) mining.push("--mixed-mining");
  return [...network.split(" "), ...storage, ...mining, ...(options.extraArguments ?? [])];
}

/** Command line of a process; empty when there is none or it cannot be seen. */
function commandOf(pid: number): string {
  try {
    if (process.platform === "linux") return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}

/** Ends the chain that a killed parent has left behind on this folder: two must never write one state file. */
async function endOrphan(dataDir: string): Promise<void> {
  const file = pidFile(dataDir);
  const pid = fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0;
  const lives = () => commandOf(pid).includes(stateFile(dataDir));
  if (!Number.isInteger(pid) || pid <= 1 || !lives()) return;
  process.kill(pid, "SIGTERM");
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (lives() && Date.now() < deadline) await sleep(20);
  if (lives()) process.kill(pid, "SIGKILL");
}

/** Terminates the child, by force when it does not listen. */
async function terminate(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(force);
}

/** Makes the folder ready for a chain. */
async function prepare(dataDir: string): Promise<void> {
  fs.mkdirSync(dataDir, { recursive: true });
  await endOrphan(dataDir);
}

/**
 * Starts a local development chain as a child process. Its state lies in `dataDir` and survives crashes (at most the
 * last second is lost). The process ends with its parent; if the
 * parent was killed, the next start on the folder ends it.
 * @throws AnvilError `AnvilMissing`, `PortInUse`, `AnvilFailed`
 */
export async function startAnvil(options: AnvilOptions): Promise<Anvil> {
  options.signal?.throwIfAborted();
  const { dataDir } = options;
  if (dataDir !== undefined) await prepare(dataDir);
  if (options.port !== undefined) await assertPortFree(options.port);
  const port = options.port ?? (await freePort());
  const child = spawn(binaryPath(), argumentsFor(options, port), { stdio: ["ignore", "pipe", "pipe"] });
  const output: string[] = [];
  const listen = (chunk: Buffer) => {
    for (const line of chunk.toString("utf8").split("\n")) {
      if (line.trim() === "") continue;
      options.log?.(line);
      output.push(line);
      if (output.length > 20) output.shift();
    }
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  if (child.pid !== undefined && dataDir !== undefined) fs.writeFileSync(pidFile(dataDir), String(child.pid));
  const killWithParent = () => child.kill("SIGKILL");
  process.once("exit", killWithParent);
  child.once("exit", () => process.removeListener("exit", killWithParent));
  const stop = () => terminate(child);
  options.signal?.addEventListener("abort", () => void stop(), { once: true });
  const failed = once(child, "error").then(([cause]) => {
    throw new AnvilError("AnvilFailed", "anvil could not be started", { cause });
  });
  failed.catch(() => undefined);
  const rpcUrl = `http://127.0.0.1:${port}`;
  await Promise.race([waitUntilReady(child, rpcUrl, output), failed]);
  return {
    rpcUrl,
    port,
    pid: child.pid!,
    stop,
    setBalance: async (address, wei) => {
      await rpc(rpcUrl, "anvil_setBalance", [address, `0x${wei.toString(16)}`]);
    },
  };
}
