// The official Waku client of tests/waku-client: its own packages, its own process, or a bundle for a page.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";

const folder = path.join(import.meta.dirname, "..", "waku-client");
const UNREACHABLE =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED|ECONNRESET|EHOSTUNREACH/;

/**
 * Installs the client's packages unless they are there.
 * @returns why they cannot be installed here: only that the registry cannot be reached
 * @throws Error with npm's words when they cannot be installed for another reason
 */
export async function installWakuClient(): Promise<string | undefined> {
  const stamp = path.join(folder, "node_modules", ".installed");
  const lock = createHash("sha256")
    .update(await fs.readFile(path.join(folder, "package-lock.json")))
    .digest("hex");
  if ((await fs.readFile(stamp, "utf8").catch(() => "")) === lock) return undefined;
  const args = ["ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"];
  const child = spawn("npm", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0 && UNREACHABLE.test(output)) return "the npm registry cannot be reached to install the Waku client";
  if (code !== 0) throw new Error(`the Waku client cannot be installed:\n${output}`);
  await fs.writeFile(stamp, lock);
  return undefined;
}

/** Entry of the client's bundle for a page: it sets `startLightNode`. */
export const wakuClientPage = path.join(folder, "page.mjs");

export interface WakuClientOptions {
  /** Multiaddrs with /ws. */
  readonly relays: readonly string[];
  readonly clusterId: number;
  readonly contentTopic: string;
  /** It asks relays for others, and connects to them. */
  readonly peerExchange?: boolean;
}

/** A stock light node; see tests/waku-client/light-node.mjs for its calls. */
export interface WakuClient {
  call<T>(name: string, options?: object): Promise<T>;
  stop(): Promise<void>;
}

/** Starts the client in its own process. */
export async function startWakuClient(options: WakuClientOptions): Promise<WakuClient> {
  const child = fork(path.join(folder, "process.mjs"), { cwd: folder, execArgv: [] });
  let last = 0;
  const call = async <T>(name: string, callOptions?: object): Promise<T> => {
    const id = ++last;
    child.send({ id, name, options: callOptions });
    const { value, error } = await answerOf(child, id);
    if (error) throw new Error(`the Waku client: ${error}`);
    return value as T;
  };
  await call("start", options);
  return {
    call,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

function answerOf(child: ChildProcess, id: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const end = () => {
      child.off("message", hear);
      child.off("exit", exit);
    };
    const hear = (answer: Answer) => {
      if (answer.id !== id) return;
      end();
      resolve(answer);
    };
    const exit = (code: number | null) => {
      end();
      reject(new Error(`the Waku client's process ended (${code})`));
    };
    child.on("message", hear);
    child.once("exit", exit);
  });
}
