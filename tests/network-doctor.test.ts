// What `skynet doctor network` says behind home routers: a real relay, real NAT.
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { expect, it } from "vitest";
import { openLab, whyNoLab, type Lab } from "./netlab/lab.ts";
import { COMMAND } from "./support/cli.ts";
import { createWallet, startLabRelay } from "./support/lab-relay.ts";

const missing = whyNoLab();
/** Says "ready", then "asked" for each search for a router. */
const HEAR_SEARCHES = `
  const socket = require("node:dgram").createSocket({ type: "udp4", reuseAddr: true });
  socket.on("message", () => console.log("asked"));
  socket.bind(1900, () => {
    socket.addMembership("239.255.255.250", process.argv[1]);
    console.log("ready");
  });`;

/** Counts the searches for a router on a machine. */
async function hearSearches(lab: Lab, machine: string) {
  // Machines of a lab have no way to multicast addresses.
  await once(lab.spawn(machine, ["ip", "route", "add", "239.0.0.0/8", "dev", "eth0"]), "close");
  const listener = lab.spawn(machine, [process.execPath, "-e", HEAR_SEARCHES, lab.address(machine)]);
  let heard = "";
  listener.stdout!.on("data", (bytes: Buffer) => (heard += bytes.toString()));
  await once(listener.stdout!, "data");
  return () => heard.split("asked").length - 1;
}

async function doctor(lab: Lab, machine: string, args: readonly string[]) {
  const listen = `/ip4/${lab.address(machine)}/tcp/0`;
  const command = [process.execPath, COMMAND, "doctor", "network", "--json", "--listen", listen, ...args];
  const child = lab.spawn(machine, command, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout!.on("data", (bytes: Buffer) => (output += bytes.toString()));
  await once(child, "close");
  return JSON.parse(output.trim().split("\n").at(-1)!) as unknown;
}

it.skipIf(missing)(
  missing === undefined ? "doctor network tells two kinds of NAT apart with one relay" : `doctor, skipped: ${missing}`,
  async () => {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-doctor-"));
    const lab = await openLab({
      routers: { router1: { nat: "cone" }, router2: { nat: "symmetric" } },
      hosts: { relay1: {}, home: { behind: "router1" }, phone: { behind: "router2" } },
    });
    try {
      const wallet = await createWallet(folder, "relay1");
      const relay = await startLabRelay(lab, "relay1", { folder, wallet });
      const { multiaddrs } = (await relay.event("listening")) as { multiaddrs: string[] };
      const searches = await Promise.all(["home", "phone"].map((machine) => hearSearches(lab, machine)));
      const [home, phone] = await Promise.all([
        doctor(lab, "home", ["--relay", multiaddrs[0]!.split("/p2p/")[0]!, "--no-upnp"]),
        doctor(lab, "phone", ["--relay", multiaddrs[0]!]),
      ]);
      const relays = [{ answers: true, stun: true, circuits: true }];
      const [address1, address2] = [lab.address("router1"), lab.address("router2")];
      expect(home).toMatchObject({ relays, nat: { kind: "endpoint-independent", publicAddress: address1 } });
      expect(phone).toMatchObject({ relays, nat: { kind: "symmetric", publicAddress: address2 } });
      // Without UPnP no router is looked for; with it, one is.
      expect(searches[0]!()).toBe(0);
      expect(searches[1]!()).toBeGreaterThan(0);
      await relay.stop();
    } finally {
      await lab.close();
      await fs.rm(folder, { recursive: true, force: true });
    }
  },
  90_000,
);
