import type { Hex } from "@skynet/protocol";
import type { Address, Membership } from "@skynet/swarm";

/** How long the key before still opens messages that were on their way when it was replaced. */
const KEEP_OLD_MS = 30_000;

interface JobCircleOptions {
  readonly jobId: Hex;
  readonly self: Address;
  /** No update of this job's model is larger. */
  readonly maxUpdateBytes: number;
  readonly keepOldMs?: number;
}

/** The members of a job and its group keys as a node knows them now: whom it hears, and with which key it speaks. */
export class JobCircle {
  readonly jobId: Hex;
  readonly maxUpdateBytes: number;
  readonly #self: Address;
  readonly #keepOldMs: number;
  #members: ReadonlySet<Address> | undefined;
  /** Newest first. */
  #keys: { readonly epoch: number; readonly key: Uint8Array; timer?: NodeJS.Timeout }[] = [];
  #publishedEpoch = -1;
  #ready: readonly Address[] = [];

  constructor({ jobId, self, maxUpdateBytes, keepOldMs = KEEP_OLD_MS }: JobCircleOptions) {
    this.jobId = jobId;
    this.maxUpdateBytes = maxUpdateBytes;
    this.#self = self;
    this.#keepOldMs = keepOldMs;
  }

  has(address: Address): boolean {
    return this.#members?.has(address) === true;
  }

  /** Whether the chain was read, and says that it is no member. */
  hasLeft(address: Address): boolean {
    return this.#members?.has(address) === false;
  }

  /** Others that serve the batches that they have. */
  ready(): readonly Address[] {
    return this.#ready;
  }

  /** What the chain says now. Whoever is no member any more forgets the keys. */
  follow({ members, keys, ready }: Membership): void {
    this.#members = new Set(members);
    this.#ready = ready.filter((address) => address !== this.#self);
    this.#publishedEpoch = keys?.epoch ?? -1;
    if (!this.#members.has(this.#self)) this.close();
  }

  /** The key of an epoch, from now on the one to speak with. The one before is forgotten after a while. */
  take(epoch: number, groupKey: Uint8Array): void {
    if (this.#keys.some((known) => known.epoch === epoch)) return;
    this.#keys.unshift({ epoch, key: Uint8Array.from(groupKey) });
    this.#keys.sort((a, b) => b.epoch - a.epoch);
    const [, before, ...older] = this.#keys;
    for (const { epoch: old } of older) this.#forget(old);
    if (before === undefined || before.timer !== undefined) return;
    before.timer = setTimeout(() => this.#forget(before.epoch), this.#keepOldMs);
    before.timer.unref();
  }

  /** Keys that may open a message, newest first. */
  openingKeys(): readonly Uint8Array[] {
    return this.#keys.map(({ key }) => key);
  }

  /**
   * The key to speak with. None while newer keys are published than those here: who was removed has the old one, so
   * what is said in it would reach the wrong ears.
   */
  speakingKey(): Uint8Array | undefined {
    const newest = this.#keys[0];
    return newest !== undefined && newest.epoch >= this.#publishedEpoch ? newest.key : undefined;
  }

  /** Forgets all keys. */
  close(): void {
    for (const { epoch } of this.#keys) this.#forget(epoch);
  }

  #forget(epoch: number): void {
    const at = this.#keys.findIndex((known) => known.epoch === epoch);
    if (at < 0) return;
    const { key, timer } = this.#keys[at]!;
    clearTimeout(timer);
    this.#keys = this.#keys.filter((_, i) => i !== at);
    key.fill(0);
  }
}
