import type { Chain } from "@skynet/contracts";
import type { Host } from "@skynet/network";
import { SkyNetError, type Hex } from "@skynet/protocol";
import { decodeMetadata } from "@skynet/swarm";

/** Word in the role of a node's presence that says: it pays gas for others. A hint, never a promise. */
const SPONSOR_ROLE = "sponsor";
/** Sponsors that are asked for one call. */
const MAX_ASKED = 5;
/** How long a sponsor that did not do what it said is left alone. */
const DISTRUST_MS = 120_000;

/** The role to announce: `role`, and that this node is a sponsor. */
export const sponsoringRole = (role: string): string => `${role}+${SPONSOR_ROLE}`;

/** Metadata that cannot be read says nothing; such a job is refused elsewhere. */
function saysSponsored(metadata: Uint8Array): boolean {
  try {
    return decodeMetadata(metadata).gas === "sponsored";
  } catch (error) {
    if (error instanceof SkyNetError) return false;
    throw error;
  }
}

/** Knows which nodes pay for whom. */
export class SponsorFinder {
  readonly #host: Host;
  readonly #chain: Pick<Chain, "job" | "meta">;
  readonly #jobs = new Map<Hex, Promise<boolean>>();
  readonly #distrustedUntil = new Map<Hex, number>();

  constructor(host: Host, chain: Pick<Chain, "job" | "meta">) {
    this.#host = host;
    this.#chain = chain;
  }

  /** Whether the job's file says that its requester pays the workers' gas. */
  isSponsored(job: Hex): Promise<boolean> {
    let known = this.#jobs.get(job);
    if (known === undefined) {
      known = this.#chain.meta(job).then(saysSponsored);
      this.#jobs.set(job, known);
      // a chain that did not answer may do so later
      known.catch(() => this.#jobs.delete(job));
    }
    return known;
  }

  /** Nodes to ask, the most likely first: the job's requester, then neighbours, then others that say they are sponsors. */
  async sponsorsFor(job: Hex): Promise<Hex[]> {
    const requester = (await this.isSponsored(job)) ? [(await this.#chain.job(job)).spec.requester] : [];
    const neighbours = new Set(this.#host.peers());
    const announced = this.#host.directory
      .entries()
      .filter(({ role }) => role.split("+").includes(SPONSOR_ROLE))
      .map(({ address }) => ({ address, rank: (neighbours.has(address) ? 0 : 1) + this.#host.random() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ address }) => address);
    return [...new Set([...requester, ...announced])]
      .filter((address) => address !== this.#host.identity.address)
      .filter((address) => (this.#distrustedUntil.get(address) ?? 0) <= this.#host.clock())
      .slice(0, MAX_ASKED);
  }

  /** This sponsor said that it had done something, and the chain says otherwise. */
  distrust(sponsor: Hex): void {
    this.#distrustedUntil.set(sponsor, this.#host.clock() + DISTRUST_MS);
  }
}
