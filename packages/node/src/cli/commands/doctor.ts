import fs from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import process from "node:process";
import type { Command } from "commander";
import { colours as pc } from "../colours.ts";
import { openReader } from "../account.ts";
import { addDoctorNetwork } from "./doctor-network.ts";
import { checkRelay, describe, type Check } from "./doctor-relay.ts";
import { formatBytes } from "../format.ts";
import {
  addConnectionOptions,
  homeDir,
  runningDevnet,
  withUi,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";

const FREE_BYTES_NEEDED = 1_000_000_000;

/** `skynet doctor`: what works on this machine, and how to mend what does not. */
export function addDoctor(program: Command): void {
  const doctor = program.command("doctor");
  addDoctorNetwork(doctor);
  addConnectionOptions(doctor.description("check Node, disk, ports, chain and relay, and say how to mend each"))
    .addHelpText("after", "\nExample:\n  $ npx skynet doctor --rpc http://127.0.0.1:8545")
    .action((options: ConnectionOptions & JsonOption) =>
      withUi(options, async (ui) => {
        const devnet = runningDevnet();
        const rpcUrl = options.rpc ?? devnet?.rpcUrl;
        const relay = options.relay?.[0] ?? devnet?.relay;
        const checks = [
          checkNode(),
          await checkDisk(),
          await checkPorts(),
          await checkChain(rpcUrl),
          await checkRelay(relay, rpcUrl),
        ];
        for (const { name, ok, found, mend } of checks) {
          ui.line(`${ok ? pc.green("✔") : pc.red("✘")} ${name.padEnd(7)} ${found}`);
          if (!ok && mend) ui.line(`          ${mend}`);
        }
        if (checks.some(({ ok }) => !ok)) process.exitCode = 1;
        return { ok: checks.every(({ ok }) => ok), checks };
      }),
    );
}

function checkNode(): Check {
  const ok = Number(process.versions.node.split(".")[0]) >= 24;
  return {
    name: "Node",
    ok,
    found: process.versions.node,
    mend: "run npm run setup: it brings Node 24 into the project",
  };
}

async function checkDisk(): Promise<Check> {
  const folder = homeDir();
  const mend = "free some space, or set SKYNET_HOME to a folder on another disk";
  try {
    await fs.mkdir(folder, { recursive: true });
    const probe = path.join(folder, `.probe-${process.pid}`);
    await fs.writeFile(probe, "probe");
    await fs.rm(probe);
    const { bavail, bsize } = await fs.statfs(folder);
    const free = bavail * bsize;
    return { name: "Disk", ok: free >= FREE_BYTES_NEEDED, found: `${formatBytes(free)} free for ${folder}`, mend };
  } catch (error) {
    return { name: "Disk", ok: false, found: `${folder} cannot be written: ${(error as Error).message}`, mend };
  }
}

function checkPorts(): Promise<Check> {
  return new Promise((resolve) => {
    const server = net.createServer();
    const mend = "allow programs to listen on 127.0.0.1 (firewall or sandbox settings)";
    server.on("error", (error) =>
      resolve({ name: "Ports", ok: false, found: `cannot listen on loopback: ${error.message}`, mend }),
    );
    server.listen(0, "127.0.0.1", () =>
      server.close(() => resolve({ name: "Ports", ok: true, found: "can listen on loopback" })),
    );
  });
}

async function checkChain(rpcUrl: string | undefined): Promise<Check> {
  if (rpcUrl === undefined)
    return {
      name: "Chain",
      ok: false,
      found: "none is given and no devnet runs",
      mend: "start one: npx skynet devnet, or give --rpc URL",
    };
  try {
    const chain = await openReader({ rpc: rpcUrl });
    return { name: "Chain", ok: true, found: `${rpcUrl}, chain ${chain.chainId}, contracts deployed` };
  } catch (error) {
    return { name: "Chain", ok: false, ...describe(error, "check --rpc") };
  }
}
