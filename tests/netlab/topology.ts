// What a test network looks like: machines on an "internet", some of them behind home routers that translate addresses.

/** How one direction of a line treats packets. What is left out does nothing. */
export interface Conditions {
  /** Time on the line, milliseconds. */
  readonly delayMs?: number;
  /** The time on the line varies by up to this much, evenly, up and down; packets keep their order. */
  readonly jitterMs?: number;
  /** Share of the packets that get lost, 0 to 1. */
  readonly loss?: number;
  /** Share of the packets that arrive twice. */
  readonly duplicate?: number;
  /** Share of the packets that are held back by `reorderMs`, so that later ones overtake them. */
  readonly reorder?: number;
  /** Default 10. */
  readonly reorderMs?: number;
  /** Bits a second, in millions. */
  readonly mbitPerSecond?: number;
  /** Longest wait for a busy line, milliseconds; what would wait longer is dropped. Default 100. */
  readonly queueMs?: number;
}

/** The line of a machine or router to the internet. */
export interface Access {
  readonly up?: Conditions;
  readonly down?: Conditions;
}

/** A machine with an address of its own on the internet. */
export interface PublicHost {
  readonly access?: Access;
}

/** A machine in the home network of a router. */
export interface PrivateHost {
  readonly behind: string;
}

export interface Router {
  /**
   * `cone`: a port inside is seen as the same port outside by everybody, as with most home routers (endpoint-independent
   * mapping in RFC 4787). `symmetric`: every peer sees another port, as with mobile networks. Both let in only answers.
   */
  readonly nat: "cone" | "symmetric";
  readonly access?: Access;
}

export interface Topology {
  /** Decides which packets are lost, late or doubled. Default 1. */
  readonly seed?: number;
  readonly routers?: Readonly<Record<string, Router>>;
  readonly hosts: Readonly<Record<string, PublicHost | PrivateHost>>;
}

/** The same line in both directions. */
export const bothWays = (conditions: Conditions): Access => ({ up: conditions, down: conditions });

/** A machine or router as it is built. */
export interface Machine {
  readonly name: string;
  /** Its address, on the internet or in its home network. */
  readonly address: string;
  /** Number of its line to the internet, from 0; undefined behind a router. */
  readonly line: number | undefined;
  readonly access: Access;
  readonly nat: Router["nat"] | undefined;
  /** Its router, its home network, and its cable in it: the number, and the router's address at the other end. */
  readonly behind:
    | { readonly router: string; readonly home: string; readonly cable: number; readonly gateway: string }
    | undefined;
}

/**
 * Network of the internet. libp2p takes the ranges that are reserved for documentation and benchmarks as private, so
 * this one looks public; it exists only inside the namespaces and no packet of it leaves them.
 */
export const INTERNET = "45.99.0";
const NAME = /^[a-z][a-z0-9-]{0,11}$/;

/**
 * Gives every machine its address: 45.99.0.1 and so on in the order of routers, then hosts; 192.168.N.2 and so on
 * behind routers.
 * @throws Error for names that are no host names, unknown routers and more than 200 machines
 */
export function planMachines({ routers = {}, hosts }: Topology): Machine[] {
  const machines: Machine[] = [];
  const inLan = new Map<string, number>();
  let lines = 0;
  const onInternet = () => ({ line: lines++, address: `${INTERNET}.${lines}`, behind: undefined });
  for (const [name, { nat, access = {} }] of Object.entries(routers))
    machines.push({ name, nat, access, ...onInternet() });
  const routerNames = machines.map(({ name }) => name);
  for (const [name, host] of Object.entries(hosts)) {
    if (!("behind" in host)) {
      machines.push({ name, nat: undefined, access: host.access ?? {}, ...onInternet() });
      continue;
    }
    const lan = routerNames.indexOf(host.behind) + 1;
    if (lan === 0) throw new Error(`${name} is behind ${host.behind}, which is no router of the topology`);
    const count = (inLan.get(host.behind) ?? 0) + 1;
    inLan.set(host.behind, count);
    // Every machine has its own cable to the router: a network of four addresses.
    const net = 4 * (count - 1);
    const home = `192.168.${lan}.0/24`;
    const behind = { router: host.behind, home, cable: count, gateway: `192.168.${lan}.${net + 1}` };
    machines.push({ name, nat: undefined, access: {}, line: undefined, address: `192.168.${lan}.${net + 2}`, behind });
  }
  for (const { name } of machines) if (!NAME.test(name)) throw new Error(`${name} cannot be the name of a machine`);
  if (new Set(machines.map(({ name }) => name)).size < machines.length)
    throw new Error("a router and a host share a name");
  if (lines > 200) throw new Error("a topology has at most 200 machines on the internet");
  return machines;
}
