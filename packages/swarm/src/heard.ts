import { decode, encode } from "@skynet/protocol";
import { z } from "zod";
import { bodies, type MessageBody, type MessageKind } from "./messages.ts";
import type { Address, JobFiles, Log } from "./ports.ts";

/** Kinds that count for as long as a phase or round lasts. A node that is restarted must not forget them. */
const KEPT = ["ready", "attest", "merge", "final"] as const satisfies readonly MessageKind[];

export interface HeardMessage<Kind extends MessageKind = MessageKind> {
  readonly kind: Kind;
  readonly from: Address;
  readonly body: MessageBody<Kind>;
}

const fileOf = (kind: MessageKind) => `heard-${kind}.cbor`;
const address = z.custom<Address>((value) => typeof value === "string" && /^0x[0-9a-f]{40}$/.test(value));

/** The latest message of each kept kind from each member: its sender has a receipt and does not say it again. */
export class HeardMessages {
  readonly #files: JobFiles;
  readonly #log: Log;
  readonly #latest = new Map<MessageKind, Map<Address, unknown>>(KEPT.map((kind) => [kind, new Map()]));
  #loaded: Promise<void> | undefined;
  readonly #writing = new Map<MessageKind, { waiting: boolean; written: Promise<void> }>();

  constructor(files: JobFiles, log: Log) {
    this.#files = files;
    this.#log = log;
  }

  /** Reads what was kept before a restart, once; damaged files are passed over. */
  load(): Promise<void> {
    this.#loaded ??= this.#read().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    return this.#loaded;
  }

  async #read(): Promise<void> {
    for (const kind of KEPT) {
      const stored = await this.#files.read(fileOf(kind));
      if (stored === undefined) continue;
      try {
        const entries = z.array(z.tuple([address, bodies[kind]])).parse(decode(stored));
        for (const [from, body] of entries) this.#latest.get(kind)!.set(from, body);
      } catch {
        this.#log.warn({ file: fileOf(kind) }, "damaged; the messages in it are forgotten");
      }
    }
  }

  all(): HeardMessage[] {
    return [...this.#latest].flatMap(([kind, senders]) =>
      [...senders].map(([from, body]) => ({ kind, from, body: body as HeardMessage["body"] })),
    );
  }

  /** Resolves when the message is on disk. Kinds that need not be kept are not. */
  async keep({ kind, from, body }: HeardMessage): Promise<void> {
    const senders = this.#latest.get(kind);
    if (senders === undefined) return;
    await this.load();
    senders.set(from, body);
    const current = this.#writing.get(kind);
    if (current?.waiting) return current.written;
    const next = { waiting: true, written: Promise.resolve() };
    const write = () => {
      next.waiting = false;
      return this.#files.write(fileOf(kind), encode([...senders]));
    };
    // One after the other, and one write for all that came meanwhile.
    next.written = (current?.written ?? Promise.resolve()).then(write, write);
    this.#writing.set(kind, next);
    return next.written;
  }
}
