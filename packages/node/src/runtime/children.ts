import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";
import process from "node:process";
import readline from "node:readline";
import { SkyNetError } from "@skynet/protocol";

/** A `skynet` process started with --json: it writes one JSON event a line. */
export interface SkyNetChild {
  readonly process: ChildProcess;
  /** Waits for the first event of this kind. */
  event(name: string, timeoutMs?: number): Promise<Record<string, unknown>>;
  onEvent(handler: (event: Record<string, unknown>) => void): void;
  /** Ends it with SIGTERM, after a while with SIGKILL. */
  stop(): Promise<void>;
}

/** The bundled command, which `npm run setup` makes. */
export const COMMAND = path.join(import.meta.dirname, "..", "..", "build", "main.js");
const STOP_AFTER_MS = 8000;

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Command that runs the rest of its line as a program, such as `ip netns exec NAME`. */
  readonly through?: readonly string[];
}

/** Starts `skynet ARGS --json` under this Node. The child ends when this process does (its IPC channel closes). */
export function startChild(args: readonly string[], options: ChildOptions = {}): SkyNetChild {
  const [program, ...rest] = [...(options.through ?? []), process.execPath, COMMAND, ...args, "--json"] as [string];
  const child = spawn(program, rest, {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    cwd: options.cwd,
    env: options.env ?? process.env,
  });
  const events: Record<string, unknown>[] = [];
  const handlers = new Set<(event: Record<string, unknown>) => void>();
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  readline.createInterface({ input: child.stdout! }).on("line", (line) => {
    const event = parseEvent(line);
    if (!event) return;
    events.push(event);
    for (const handler of handlers) handler(event);
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));

  return {
    process: child,
    onEvent: (handler) => {
      for (const event of events) handler(event);
      handlers.add(handler);
    },
    event: (name, timeoutMs = 60_000) =>
      new Promise((resolve, reject) => {
        const known = events.find((event) => event.event === name);
        if (known) return resolve(known);
        const fail = (why: string) => {
          handlers.delete(watch);
          clearTimeout(timer);
          reject(new SkyNetError("ChildFailed", `skynet ${args[0]}: ${why}\n${errors.trim()}`));
        };
        const timer = setTimeout(() => fail(`no "${name}" within ${timeoutMs / 1000} s`), timeoutMs);
        const watch = (event: Record<string, unknown>) => {
          if (event.event !== name) return;
          handlers.delete(watch);
          clearTimeout(timer);
          resolve(event);
        };
        handlers.add(watch);
        child.once("exit", (code) => fail(`ended with code ${code}`));
      }),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_AFTER_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

function parseEvent(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
