import { scopeOfHost } from "../ip/scope.ts";

/** What one relay says about our place in the network. */
export interface Opinion {
  /** Host at which we dialled the relay. */
  readonly relayHost: string;
  /** Host from which the relay sees us. */
  readonly observedHost: string;
  /** Addresses of ours on that host that the relay has dialled. */
  readonly reached: readonly string[];
}

const isIPv6 = (host: string) => host.includes(":");

/** A relay sees our outside only from outside: not from this machine or our own network, nor over the other IP. */
const canJudge = ({ relayHost, observedHost }: Opinion, host: string) =>
  scopeOfHost(relayHost) === scopeOfHost(host) && isIPv6(observedHost) === isIPv6(host);

/**
 * The addresses to believe in. One relay alone could make us announce the address of somebody else: where two can tell,
 * two have to see us on the same host; then one that has reached us there is enough.
 */
export function agreedAddresses(opinions: readonly Opinion[]): string[] {
  const believed = opinions.flatMap(({ relayHost, observedHost, reached }) => {
    if (scopeOfHost(relayHost) !== scopeOfHost(observedHost)) return [];
    const judges = opinions.filter((opinion) => canJudge(opinion, observedHost));
    const agreeing = judges.filter((judge) => judge.observedHost === observedHost);
    return agreeing.length >= Math.min(2, judges.length) ? reached : [];
  });
  return [...new Set(believed)];
}
