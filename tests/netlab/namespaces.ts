// Network namespaces of a topology, made with `ip` and `nft`. Names carry the process that owns them.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { INTERNET, type Machine } from "./topology.ts";

const NAMED = "/run/netns";
const PREFIX = "skynet-lab";
/** Namespace in which a test that is no lab tries what it may do; no machine can have this name. */
export const PROBE = "try.out";

export const namespaceOf = (owner: number, machine: string): string => `${PREFIX}-${owner}-${machine}`;

/** Runs a program with a text as input. @throws Error with what it wrote when it fails */
export async function run(command: readonly string[], input = ""): Promise<string> {
  const [program, ...args] = command as [string, ...string[]];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => void (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => void (errors += chunk.toString()));
  child.stdin.on("error", () => undefined); // It ended without reading: its exit code tells.
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${command.join(" ")}: ${errors.trim() || `ended with code ${code}`}`);
  return output;
}

/** Runs shell lines in a namespace. */
const inside = (namespace: string, lines: readonly string[]) =>
  run(["ip", "netns", "exec", namespace, "sh", "-e"], lines.join("\n"));

/** Lets out everything under the router's address and in only what answers it. */
function natRules(nat: NonNullable<Machine["nat"]>): string {
  const masquerade = nat === "symmetric" ? "masquerade random,fully-random" : "masquerade";
  return `
table ip nat {
  chain post { type nat hook postrouting priority 100; policy accept; oifname "eth0" ${masquerade}; }
}
table ip firewall {
  chain forward { type filter hook forward priority 0; policy accept; iifname "eth0" ct state new drop; }
  chain input { type filter hook input priority 0; policy accept; iifname "eth0" ct state new drop; }
}`;
}

/**
 * Makes the namespaces of all machines. `devices` are those of the lines to the internet, by number; each becomes its
 * machine's `eth0`.
 */
export async function buildNamespaces(
  owner: number,
  machines: readonly Machine[],
  devices: readonly string[],
): Promise<void> {
  const nameOf = (machine: string) => namespaceOf(owner, machine);
  const lines = machines.map(({ name }) => `netns add ${nameOf(name)}`);
  for (const { line, name } of machines)
    if (line !== undefined) lines.push(`link set ${devices[line]!} netns ${nameOf(name)} name eth0`);
  for (const { behind, name } of machines)
    if (behind !== undefined)
      lines.push(
        `-n ${nameOf(behind.router)} link add lan${behind.cable} type veth peer name eth0 netns ${nameOf(name)}`,
      );
  // A batch takes no -n; what needs one is run by itself.
  await run(["ip", "-batch", "-"], lines.filter((line) => !line.startsWith("-n")).join("\n"));
  for (const line of lines.filter((it) => it.startsWith("-n"))) await run(["ip", ...line.split(" ")]);
  await Promise.all(machines.map((machine) => inside(nameOf(machine.name), setUp(machine, machines))));
}

/** Shell lines that give a machine its addresses, routes and rules. There is no way to networks outside the lab. */
function setUp({ name, address, behind, nat }: Machine, machines: readonly Machine[]): string[] {
  const lines = [
    "ip link set lo up",
    // Only IPv4 crosses the lab: neighbour discovery would be noise.
    "test ! -e /proc/sys/net/ipv6/conf/all/disable_ipv6 || echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
    // Slows down on every loss, as most machines do (CUBIC is no faster here), and every namespace may choose it.
    "echo reno > /proc/sys/net/ipv4/tcp_congestion_control",
    `ip address add ${address}/${behind ? 30 : 32} dev eth0`,
    "ip link set eth0 up",
    `ip route add ${INTERNET}.0/24 ${behind ? `via ${behind.gateway}` : "dev eth0"}`,
    ...(behind ? [`ip route add ${behind.home} via ${behind.gateway}`] : []),
  ];
  if (nat === undefined) return lines;
  for (const { behind: member } of machines) {
    if (member?.router !== name) continue;
    const device = `lan${member.cable}`;
    lines.push(`ip address add ${member.gateway}/30 dev ${device}`, `ip link set ${device} up`);
  }
  lines.push("echo 1 > /proc/sys/net/ipv4/ip_forward", `nft -f - <<'RULES'${natRules(nat)}`, "RULES");
  return lines;
}

/** Ends every process in the namespaces of an owner and removes them. */
export const removeNamespaces = (owner: number): Promise<void> =>
  remove(listNamespaces().filter((it) => it.owner === owner));

/**
 * Removes what labs left behind whose process was killed, and what others tried out that have ended. `isLab` tells
 * whether a process is a lab.
 */
export const removeLeftovers = (isLab: (pid: number) => boolean): Promise<void> =>
  remove(listNamespaces().filter(({ owner, machine }) => !(machine === PROBE ? isAlive(owner) : isLab(owner))));

async function remove(namespaces: readonly Namespace[]): Promise<void> {
  await Promise.all(
    namespaces.map(async ({ name }) => {
      try {
        const pids = (await run(["ip", "netns", "pids", name])).split("\n").filter((pid) => pid !== "");
        for (const pid of pids) kill(Number(pid));
        await run(["ip", "netns", "delete", name]);
      } catch (error) {
        // Labs that start at once remove the same leftovers.
        if (fs.existsSync(`${NAMED}/${name}`)) throw error;
      }
    }),
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

const isAlive = (pid: number): boolean => fs.existsSync(`/proc/${pid}`);

interface Namespace {
  readonly name: string;
  readonly owner: number;
  readonly machine: string;
}

function listNamespaces(): Namespace[] {
  const names = fs.existsSync(NAMED) ? fs.readdirSync(NAMED) : [];
  return names.flatMap((name) => {
    const [, owner, machine] = new RegExp(`^${PREFIX}-(\\d+)-(.*)$`).exec(name) ?? [];
    return owner === undefined ? [] : [{ name, owner: Number(owner), machine: machine! }];
  });
}
