import dns from "node:dns";
import net from "node:net";
import { StorageError } from "../errors.ts";

/** Everything that is not the open internet (IANA's special-purpose registries, RFC 6890 and its updates). */
const RESERVED_V4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10", // shared by the customers of a provider
  "127.0.0.0/8",
  "169.254.0.0/16", // link-local, where clouds tell machines their secrets
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3", // multicast, reserved, broadcast
];
/** Of IPv6 only 2000::/3 is the open internet, without those in it that carry an address of IPv4 or go nowhere. */
const GLOBAL_V6 = "2000::/3";
const RESERVED_V6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

const list = (family: "ipv4" | "ipv6", ...subnets: readonly string[]): net.BlockList => {
  const found = new net.BlockList();
  for (const subnet of subnets) {
    const [address, prefix] = subnet.split("/") as [string, string];
    found.addSubnet(address, Number(prefix), family);
  }
  return found;
};
const reservedV4 = list("ipv4", ...RESERVED_V4);
const globalV6 = list("ipv6", GLOBAL_V6);
const reservedV6 = list("ipv6", ...RESERVED_V6);

/**
 * Whether an address is one of the open internet. Those of IPv6 that carry one of IPv4 (mapped, NAT64, 6to4, Teredo) are
 * not: they are ways around this check, and nothing public needs them.
 * @param address of IPv4 or IPv6, without brackets
 */
export function isPublicAddress(address: string): boolean {
  const plain = address.replace(/%.*$/, "");
  if (net.isIPv4(plain)) return !reservedV4.check(plain, "ipv4");
  return net.isIPv6(plain) && globalV6.check(plain, "ipv6") && !reservedV6.check(plain, "ipv6");
}

/** Which addresses may be connected to. */
export type AddressRule = (address: string) => boolean;

/** @throws StorageError `PrivateAddress` for a host of a URL that is an address and not allowed, in whatever notation */
export function checkHost({ hostname }: URL, isAllowed: AddressRule): void {
  // URL turns 127.1, 0x7f000001 and 2130706433 into 127.0.0.1.
  const host = hostname.replace(/^\[|\]$/g, "");
  if (net.isIP(host) !== 0 && !isAllowed(host)) throw privateAddress(hostname, host);
}

/**
 * Name look-up for connections (`lookup` of `http.request`): the addresses that it returns are those that are connected
 * to, so that a name cannot lead elsewhere between the check and the connection. Fails unless all of them are allowed.
 */
export function guardedLookup(isAllowed: AddressRule, resolve: Resolve = dns.lookup): net.LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses = []) => {
      const inner = addresses.find(({ address }) => !isAllowed(address));
      const [first] = addresses;
      if (error !== null) callback(error, "");
      else if (inner !== undefined) callback(privateAddress(hostname, inner.address), "");
      else if (options.all) callback(null, addresses);
      else callback(null, first!.address, first!.family);
    });
  };
}

type Resolve = (
  hostname: string,
  options: dns.LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses?: dns.LookupAddress[]) => void,
) => void;

function privateAddress(hostname: string, address: string): StorageError {
  const leads = hostname === address ? "is" : `leads to ${address},`;
  return new StorageError("PrivateAddress", `${hostname} ${leads} an address of this machine or a private network`, {
    hint: "use a public address, or --allow-private if the data is in your own network",
  });
}
