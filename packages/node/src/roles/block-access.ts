import type { DiskBlockStore } from "@skynet/storage";
import type { Address } from "@skynet/swarm";
import { jobPin } from "../runtime/blocks.ts";

/** Who may fetch which of this node's blocks. */
export class BlockAccess {
  readonly #open = new Set<string>();
  readonly #jobs = new Map<string, { members: ReadonlySet<Address>; readonly blocks: Set<string> }>();

  /** Anybody may fetch this block (a job's metadata and architecture). */
  open(cid: string): void {
    this.#open.add(cid);
  }

  /** These blocks belong to a job: its members may fetch them, whoever they are at that time. */
  addBlocks(jobId: string, cids: Iterable<string>): void {
    const { blocks } = this.#job(jobId);
    for (const cid of cids) blocks.add(cid);
  }

  setMembers(jobId: string, members: Iterable<Address>): void {
    this.#job(jobId).members = new Set(members);
  }

  removeJob(jobId: string): void {
    this.#jobs.delete(jobId);
  }

  allows(peer: Address, cid: string): boolean {
    if (this.#open.has(cid)) return true;
    return [...this.#jobs.values()].some(({ members, blocks }) => members.has(peer) && blocks.has(cid));
  }

  #job(jobId: string) {
    let job = this.#jobs.get(jobId);
    if (job === undefined) {
      job = { members: new Set(), blocks: new Set() };
      this.#jobs.set(jobId, job);
    }
    return job;
  }
}

interface Served {
  readonly blocks: Pick<DiskBlockStore, "pin" | "pinsOf">;
  readonly access: BlockAccess;
}

/**
 * Pins blocks that a job names, and lets its members fetch them; but not those that something else in this store holds,
 * such as another job or a listing: whoever posts a job can name any block whose CID he knows.
 */
export function openToMembers({ blocks, access }: Served, jobId: string, cids: readonly string[]): void {
  const own = jobPin(jobId);
  const isOwn = (name: string) => name === own || name.startsWith(`${own}/`);
  const free = cids.filter((cid) => blocks.pinsOf(cid).every(isOwn));
  blocks.pin(own, free);
  access.addBlocks(jobId, free);
}
