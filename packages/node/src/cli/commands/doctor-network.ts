import { createHost, createIdentity, type Host } from "@skynet/network";
import {
  diagnosePeer,
  diagnoseRelays,
  diagnoseRouter,
  type NatDiagnosis,
  type PathDiagnosis,
  type RelayDiagnosis,
  type RouterDiagnosis,
} from "@skynet/network/node";
import type { Hex } from "@skynet/protocol";
import { SkyNetError } from "@skynet/protocol";
import { InvalidArgumentError, Option, type Command } from "commander";
import { colours as pc } from "../colours.ts";
import { formatBytes } from "../format.ts";
import {
  addListenOptions,
  jsonOption,
  listening,
  runningDevnet,
  withUi,
  type JsonOption,
  type ListenOptions,
} from "../options.ts";
import type { Ui } from "../ui.ts";

interface NetworkOptions extends JsonOption, ListenOptions {
  readonly relay?: string[];
  readonly peer: Hex[];
}

const several = (value: string, before: string[] = []): string[] => [...before, value];

function address(text: string, before: Hex[]): Hex[] {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text))
    throw new InvalidArgumentError("the address of a node is needed: 0x and 40 digits, as skynet worker shows it");
  return [...before, text.toLowerCase() as Hex];
}

/** What each kind of NAT means for this node, and what helps. */
const KINDS = {
  none: ["no NAT", "others reach this machine directly, if its firewall lets them"],
  "endpoint-independent": ["a NAT that keeps ports (endpoint-independent mapping)", "WebRTC gets through it"],
  symmetric: [
    "a symmetric NAT: another port for every destination",
    "only relays get through it; forward a TCP port to this machine and listen on it, or use IPv6 or another line",
  ],
  "udp-blocked": [
    "a firewall that blocks UDP",
    "QUIC and WebRTC cannot work; allow outgoing UDP, or live with relays over TCP",
  ],
  unclear: [
    "a NAT, but which kind cannot be told: only one STUN server answered",
    "give another --relay; the relay's operator may have to let in its second STUN port (3479/udp)",
  ],
  unknown: ["unknown: no relay here serves STUN", "give another --relay, or ask the operator to serve STUN"],
} as const;

const ADVICE = {
  direct: "listen on an address that the peer reaches (--listen), or forward a port in the router",
  webrtc: "needs a NAT that keeps ports on both sides, outgoing UDP, and a relay with STUN",
  relayed: "needs a relay that carries circuits and that both sides are connected to",
} as const;

/** `skynet doctor network`: what this machine's network lets through. */
export function addDoctorNetwork(doctor: Command): void {
  const command = doctor
    .command("network")
    .description("find out the kind of NAT, what the relays offer, and which way leads to which peer")
    .addOption(
      new Option("--relay <multiaddr>", "relay to ask, may be repeated (default: the devnet's)")
        .env("SKYNET_RELAY")
        .argParser(several),
    )
    .addOption(
      new Option("--peer <address>", "node to try each way to, may be repeated").argParser(address).default([], "none"),
    )
    .addOption(jsonOption());
  addListenOptions(command)
    .addHelpText("after", "\nExample:\n  $ npx skynet doctor network --relay /ip4/198.51.100.7/tcp/60000/p2p/16Uiu2...")
    .action((options: NetworkOptions) => withUi(options, (ui) => diagnose(ui, options)));
}

/** @throws SkyNetError `NoConnection` without a relay */
async function diagnose(ui: Ui, options: NetworkOptions): Promise<unknown> {
  const devnet = runningDevnet();
  const relays = options.relay ?? (devnet ? [devnet.relay] : []);
  if (relays.length === 0)
    throw new SkyNetError("NoConnection", "no --relay is given and no devnet runs here", {
      hint: "give --relay MULTIADDR, or start a local network: npx skynet devnet",
    });
  const identity = createIdentity(crypto.getRandomValues(new Uint8Array(32)));
  const { listen } = listening(options);
  const host = await createHost({ identity, listen, relays, role: "doctor", upnp: false });
  const signal = AbortSignal.timeout(180_000);
  try {
    const found = await diagnoseRelays(host, relays, signal);
    showRelays(ui, found.relays);
    const [kind, advice] = KINDS[found.nat.kind];
    ui.line(`${pc.bold("NAT")}     ${kind}${found.nat.publicAddress ? `, seen as ${found.nat.publicAddress}` : ""}`);
    ui.line(`          ${advice}`);
    const router = options.upnp ? await diagnoseRouter(signal) : undefined;
    if (router) showRouter(ui, router, found.nat);
    const peers = await tryPeers(ui, host, options.peer, signal);
    const ok = found.relays.some(({ answers }) => answers) && peers.every(({ paths }) => paths.some((it) => it.works));
    if (!ok) process.exitCode = 1;
    return { ok, nat: found.nat, relays: found.relays, router, peers };
  } finally {
    await host.stop();
  }
}

function showRouter(ui: Ui, { found, externalIp, reason }: RouterDiagnosis, { publicAddress }: NatDiagnosis): void {
  ui.line(
    `${pc.bold("UPnP")}    ${found ? `a router forwards ports, its address is ${externalIp}` : "no router forwards ports"}`,
  );
  if (found && publicAddress !== undefined && externalIp !== publicAddress)
    ui.line(
      `          relays see ${publicAddress} instead: another router stands between, and nodes announce no such address`,
    );
  if (!found) ui.line(`          ${reason ?? "switch on UPnP in the router, or forward the port by hand"}`);
}

function showRelays(ui: Ui, relays: readonly RelayDiagnosis[]): void {
  for (const { multiaddr, answers, connects, latencyMs, stun, circuits, reason } of relays) {
    const offers = [stun ? "STUN" : "no STUN", circuits ? "circuits" : "no circuits"].join(", ");
    const text = answers ? `answers in ${(latencyMs ?? 0).toFixed(0)} ms; ${offers}` : `does not answer: ${reason}`;
    ui.line(`${answers ? pc.green("✔") : pc.red("✘")} Relay   ${multiaddr}`);
    ui.line(`          ${text}`);
    if (answers) continue;
    ui.line(
      connects
        ? "          a node is there, but no relay of this network: check the address, or update the relay"
        : "          check the address; is the relay running, and does a firewall stand between?",
    );
  }
}

async function tryPeers(ui: Ui, host: Host, peers: readonly Hex[], signal: AbortSignal) {
  const tried: { readonly peer: Hex; readonly paths: PathDiagnosis[] }[] = [];
  for (const peer of peers) {
    const paths = await diagnosePeer(host, peer, signal);
    tried.push({ peer, paths });
    ui.line(`${pc.bold("Peer")}    ${peer}`);
    for (const { path, works, latencyMs = 0, bytesPerSecond = 0, reason } of paths) {
      const mark = works ? pc.green("✔") : pc.red("✘");
      const text = works ? `${latencyMs.toFixed(1)} ms, ${formatBytes(bytesPerSecond)}/s` : (reason ?? "");
      ui.line(`  ${mark} ${path.padEnd(8)} ${text}`);
      if (!works) ui.line(`             ${ADVICE[path]}`);
    }
  }
  return tried;
}
