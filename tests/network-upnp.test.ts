// Routers that forward ports by UPnP, and routers that only say so: a real relay, real NAT.
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { openLab, whyNoLab, type Lab } from "./netlab/lab.ts";
import { createWallet, startLabRelay } from "./support/lab-relay.ts";

const missing = whyNoLab();
const SUPPORT = path.join(import.meta.dirname, "support");
const STRANGER = "45.99.0.199";

/** Starts the UPnP of the router in front of a machine, and the machine's node. */
async function startHome(
  lab: Lab,
  number: number,
  home: { router: string; machine: string; relay: string },
  args: string[],
) {
  const { router, machine, relay } = home;
  const address = lab.address(machine);
  const inside = address.replace(/\d+$/, (last) => String(Number(last) - 1));
  await once(lab.spawn(machine, ["ip", "route", "add", "239.0.0.0/8", "dev", "eth0"]), "close");
  const upnp = lab.fork(router, path.join(SUPPORT, "lab-router.ts"), [inside, ...args]);
  await once(upnp, "message");
  const mapped = once(upnp, "message");
  const node = lab.fork(machine, path.join(SUPPORT, "lab-listener.ts"), [String(number), address, relay]);
  return {
    mapped,
    /** What the node announces when a relay has tried to reach it the next time. */
    announced: async () => ((await once(node, "message")) as [string[]])[0],
  };
}

it.skipIf(missing)(
  missing === undefined
    ? "what a router says is announced when a relay has been able to connect"
    : `skipped: ${missing}`,
  async () => {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-upnp-"));
    const lab = await openLab({
      routers: { router1: { nat: "cone" }, router2: { nat: "cone" } },
      hosts: { relay1: {}, home1: { behind: "router1" }, home2: { behind: "router2" } },
    });
    try {
      const wallet = await createWallet(folder, "relay1");
      const process = await startLabRelay(lab, "relay1", { folder, wallet });
      const { multiaddrs } = (await process.event("listening")) as { multiaddrs: string[] };
      const place = (n: number) => ({ router: `router${n}`, machine: `home${n}`, relay: multiaddrs[0]! });
      const outside = (n: number) => `/ip4/${lab.address(`router${n}`)}/tcp/4000/`;
      const [forwarding, boasting] = await Promise.all([
        // It forwards the port, and names somebody else's address as its own.
        startHome(lab, 1, place(1), [STRANGER, "true"]),
        // It names its own address, and forwards nothing.
        startHome(lab, 2, place(2), [lab.address("router2"), "false"]),
      ]);
      const untilAnnounced = async () => {
        for (;;) {
          const announced = await forwarding.announced();
          if (announced.some((text) => text.startsWith(outside(1)))) return announced;
        }
      };
      const [reached, unreached] = await Promise.all([
        untilAnnounced(),
        boasting.mapped.then(() => boasting.announced()),
      ]);
      expect(reached.filter((text) => text.includes(STRANGER))).toEqual([]);
      expect(unreached.filter((text) => text.startsWith(outside(2)))).toEqual([]);
      expect(unreached.some((text) => text.startsWith(`/ip4/${lab.address("home2")}/tcp/4000/`))).toBe(true);
      await process.stop();
    } finally {
      await lab.close();
      await fs.rm(folder, { recursive: true, force: true });
    }
  },
  90_000,
);
