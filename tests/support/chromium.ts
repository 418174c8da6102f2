// Headless Chromium over the DevTools protocol. It speaks through pipes: no port, and it ends when this process does.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A browser in PATH that starts, or undefined. */
export function findChromium(): string | undefined {
  return NAMES.find((name) => spawnSync(name, ["--version"], { stdio: "ignore", timeout: 20_000 }).status === 0);
}

const FLAGS = [
  "--headless",
  "--remote-debugging-pipe",
  // The sandbox needs privileges that containers and root lack. Only the repository's own pages are opened.
  "--no-sandbox",
  // Containers often have a small /dev/shm.
  "--disable-dev-shm-usage",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-extensions",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** Time for a command of the protocol; pages' own work has its own limit. */
const COMMAND_MS = 30_000;
const EXIT_MS = 5_000;

export interface Page {
  /** Value of an expression, awaited; it must be JSON. @throws Error with the page's own message */
  evaluate<T>(expression: string, timeoutMs: number): Promise<T>;
  /** Closes the tab as a user would: nothing in it is told. */
  close(): Promise<void>;
}

export interface Browser {
  /** Opens a page and waits until it has loaded. */
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly label: string;
  readonly sessionId: string | undefined;
  /** The answer to a command, or the event, that ends the wait. */
  readonly wanted: number | string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Commands and events of the protocol: JSON messages, each followed by a zero byte. */
class DevTools {
  readonly #input: Writable;
  readonly #waiting = new Set<Waiting>();
  readonly #logs = new Map<string | undefined, string>();
  #failure: Error | undefined;
  #lastId = 0;

  constructor(input: Writable, output: Readable) {
    this.#input = input;
    input.on("error", (error) => this.fail(error));
    let rest = "";
    output.setEncoding("utf8").on("data", (chunk: string) => {
      const messages = (rest + chunk).split("\0");
      rest = messages.pop()!;
      for (const message of messages) this.#receive(JSON.parse(message) as Message);
    });
  }

  async send<T>(method: string, params: object = {}, sessionId?: string, timeoutMs = COMMAND_MS): Promise<T> {
    const id = ++this.#lastId;
    const answer = this.#wait(method, id, sessionId, timeoutMs);
    this.#input.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    return (await answer) as T;
  }

  /** What the browser logged about a page, for example a module that does not load. */
  logOf(sessionId: string): string {
    return this.#logs.get(sessionId) ?? "";
  }

  /** The next event of this name; call it before the command that causes the event. */
  async event(method: string, sessionId: string): Promise<void> {
    await this.#wait(method, method, sessionId, COMMAND_MS);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting) reject(this.#failure);
  }

  async #wait(label: string, wanted: number | string, sessionId: string | undefined, timeoutMs: number) {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const waiting: Waiting = { label, wanted, sessionId, resolve, reject };
    const timer = setTimeout(() => reject(new Error(`${label}: no answer in ${timeoutMs / 1000} s`)), timeoutMs);
    this.#waiting.add(waiting);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    }
  }

  #receive({ id, method, sessionId, params, result, error }: Message): void {
    if (method === "Log.entryAdded") {
      const { text, url } = (params as { entry: { text: string; url?: string } }).entry;
      this.#logs.set(sessionId, `${this.#logs.get(sessionId) ?? ""}\n${text} ${url ?? ""}`);
    }
    for (const waiting of this.#waiting) {
      if (waiting.sessionId !== sessionId) continue;
      if (method === "Inspector.targetCrashed") waiting.reject(new Error(`${waiting.label}: the page crashed`));
      else if (waiting.wanted !== (id ?? method)) continue;
      else if (error) waiting.reject(new Error(`${waiting.label}: ${error.message}`));
      else waiting.resolve(result ?? params);
    }
  }
}

interface Evaluation {
  readonly result: { readonly value: unknown };
  readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } };
}

async function openPage(devTools: DevTools, url: string): Promise<Page> {
  const { targetId } = await devTools.send<{ targetId: string }>("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await devTools.send<{ sessionId: string }>("Target.attachToTarget", {
    targetId,
    flatten: true,
  });
  await devTools.send("Inspector.enable", {}, sessionId);
  await devTools.send("Log.enable", {}, sessionId);
  await devTools.send("Page.enable", {}, sessionId);
  const [, { errorText }] = await Promise.all([
    devTools.event("Page.loadEventFired", sessionId),
    devTools.send<{ errorText?: string }>("Page.navigate", { url }, sessionId),
  ]);
  if (errorText) throw new Error(`${url} does not load: ${errorText}`);
  return {
    evaluate: async <T>(expression: string, timeoutMs: number) => {
      const parameters = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await devTools.send<Evaluation>(
        "Runtime.evaluate",
        parameters,
        sessionId,
        timeoutMs,
      );
      if (exceptionDetails) {
        const reason = exceptionDetails.exception?.description ?? exceptionDetails.text;
        throw new Error(`in the page: ${reason}${devTools.logOf(sessionId)}`);
      }
      return result.value as T;
    },
    close: async () => void (await devTools.send("Target.closeTarget", { targetId })),
  };
}

async function stop(child: ChildProcess, ended: Promise<void>, devTools: DevTools): Promise<void> {
  devTools.send("Browser.close").catch(() => {});
  const timer = setTimeout(() => child.kill("SIGKILL"), EXIT_MS);
  await ended;
  clearTimeout(timer);
}

/** Starts a browser with a profile of its own, which `close` deletes. */
export async function startChromium(executable: string): Promise<Browser> {
  const profile = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-chromium-"));
  const child = spawn(executable, [...FLAGS, `--user-data-dir=${profile}`], {
    // Beside the profile, Chromium writes into the home folder.
    env: { ...process.env, HOME: profile },
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
  });
  const [, , , input, output] = child.stdio;
  const devTools = new DevTools(input as Writable, output as Readable);
  let log = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-2000)));
  const ended = new Promise<void>((resolve) => {
    const end = (cause: string) => {
      devTools.fail(new Error(`${executable} ended (${cause}): ${log}`));
      resolve();
    };
    child.once("error", (error) => end(error.message));
    child.once("close", (code, signal) => end(signal ?? `code ${code}`));
  });
  const close = async () => {
    await stop(child, ended, devTools);
    await fs.rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  try {
    await devTools.send("Browser.getVersion");
  } catch (error) {
    await close();
    throw error;
  }
  return { open: (url) => openPage(devTools, url), close };
}
