import { SwarmError } from "./errors.ts";
import { HeardMessages, type HeardMessage } from "./heard.ts";
import { bodies, type MessageBody, type MessageKind } from "./messages.ts";
import type { Address, ChannelMessage, JobFiles, JobSnapshot, Log } from "./ports.ts";

type Handler = (from: Address, body: never) => void | Promise<void>;

/** Gives the messages of members to their handlers, again where they were early. */
export class Mailbox {
  readonly #log: Log;
  readonly #handlers = new Map<MessageKind, Handler>();
  readonly #heard: HeardMessages;
  /** Messages to look at again with the next view of the chain: looking at them failed. */
  #again: HeardMessage[] = [];
  /** What the kept messages were last looked at with; none before the first view. */
  #time: string | undefined;

  constructor({ files, log }: { readonly files: JobFiles; readonly log: Log }) {
    this.#log = log;
    this.#heard = new HeardMessages(files, log);
  }

  /**
   * Handles messages of a kind. Those that count for a while come again whenever the round or the keys have changed, and
   * after a failure, so a message that is early is not lost.
   */
  on<Kind extends MessageKind>(
    kind: Kind,
    handler: (from: Address, body: MessageBody<Kind>) => void | Promise<void>,
  ): void {
    this.#handlers.set(kind, handler as Handler);
  }

  /** @throws SwarmError `BadMessage` when it is not one of this version */
  async receive({ kind: name, from, body }: ChannelMessage): Promise<void> {
    const kind = name as MessageKind;
    const parsed = Object.hasOwn(bodies, name) ? bodies[kind].safeParse(body) : undefined;
    if (!parsed?.success) throw new SwarmError("BadMessage", `not a message of this version: ${name.slice(0, 64)}`);
    const message: HeardMessage = { kind, from, body: parsed.data };
    await this.#heard.keep(message);
    await this.#dispatch(message);
  }

  /** To be called with every view of the chain. */
  async lookAgain({ round, keys }: JobSnapshot): Promise<void> {
    const time = `${round}/${keys?.cid}`;
    if (this.#time === undefined) await this.#heard.load();
    const messages = time === this.#time ? this.#again : this.#heard.all();
    this.#time = time;
    this.#again = [];
    for (const message of messages) await this.#dispatch(message);
  }

  async #dispatch(message: HeardMessage): Promise<void> {
    const { kind, from, body } = message;
    try {
      await this.#handlers.get(kind)?.(from, body as never);
    } catch (error) {
      this.#log.debug({ kind, from, error: String(error) }, "a message will be looked at again");
      this.#again.push(message);
    }
  }
}
