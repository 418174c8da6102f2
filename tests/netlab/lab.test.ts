import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLab, whyNoLab, type Lab } from "./lab.ts";
import { namespaceOf, PROBE, run } from "./namespaces.ts";
import type { Measured } from "./probe.ts";
import { bothWays, INTERNET, planMachines, type Topology } from "./topology.ts";

const missing = whyNoLab();
const probe = path.join(import.meta.dirname, "probe.ts");

const topology: Topology = {
  routers: { cone: { nat: "cone" }, symmetric: { nat: "symmetric" } },
  hosts: {
    one: {},
    two: {},
    near: {},
    far: { access: bothWays({ delayMs: 40, mbitPerSecond: 100 }) },
    bad: { access: bothWays({ delayMs: 5, loss: 0.1, duplicate: 0.1, reorder: 0.1 }) },
    home: { behind: "cone" },
    guest: { behind: "cone" },
    phone: { behind: "symmetric" },
  },
};

interface Ports {
  readonly udpPort: number;
  readonly tcpPort: number;
}

async function answerOf<T>(child: ChildProcess): Promise<T> {
  const failed = once(child, "exit").then(([code]) => {
    throw new Error(`a process ended with code ${String(code)} and said nothing`);
  });
  return ((await Promise.race([once(child, "message"), failed])) as [T])[0];
}

it("a topology that cannot be built is refused with the reason", () => {
  expect(() => planMachines({ hosts: { a: { behind: "b" } } })).toThrow("a is behind b, which is no router");
  expect(() => planMachines({ hosts: { "a b": {} } })).toThrow("a b cannot be the name of a machine");
  expect(() => planMachines({ routers: { a: { nat: "cone" } }, hosts: { a: {} } })).toThrow("share a name");
});

describe.skipIf(missing)(missing === undefined ? "a network lab" : `a network lab, skipped: ${missing}`, () => {
  let lab: Lab;
  let one: Ports;
  let two: Ports;
  beforeAll(async () => {
    lab = await openLab(topology);
    [one, two] = await Promise.all([serve("one"), serve("two")]);
  });
  afterAll(() => lab?.close());

  const serve = (machine: string) => answerOf<Ports>(lab.fork(machine, probe, ["serve"]));
  const ask = <T>(machine: string, ...task: (string | number)[]) =>
    answerOf<T>(lab.fork(machine, probe, task.map(String)));
  const measure = (machine: string, packets: number, seconds: number) =>
    ask<Measured>(machine, "measure", lab.address("one"), one.udpPort, one.tcpPort, packets, seconds);

  it("delays by what the line says and carries no more than its rate", async () => {
    const far = await measure("far", 50, 1.5);
    expect(far).toMatchObject({ sent: 50, echoed: 50, doubled: 0, overtaken: 0 });
    const fastest = Math.min(...far.roundTripsMs);
    expect(fastest).toBeGreaterThanOrEqual(80);
    expect(fastest).toBeLessThan(100);
    expect(far.tcpMbitPerSecond).toBeGreaterThan(0);
    expect(far.tcpMbitPerSecond).toBeLessThan(100);
    // what slows the first one is its line, not the forwarding
    const near = await measure("near", 1, 0.5);
    expect(near.tcpMbitPerSecond).toBeGreaterThan(far.tcpMbitPerSecond);
  });

  it("loses, doubles and reorders packets, and counts them", async () => {
    const bad = await measure("bad", 600, 0);
    const { up, down } = await lab.count("bad");
    expect(up.packets).toBe(600 - up.lost + up.duplicated);
    expect(up.lost / 600).toBeCloseTo(0.1, 1);
    expect(down.packets).toBe(up.packets - down.lost + down.duplicated);
    expect(bad.echoed + bad.doubled).toBe(down.packets);
    expect(bad.overtaken).toBeGreaterThan(30);
  });

  it("changes a line while it is in use", async () => {
    await lab.shape("bad", bothWays({ loss: 1 }));
    expect(await measure("bad", 20, 0)).toMatchObject({ sent: 20, echoed: 0 });
    await lab.shape("bad", {});
    expect(await measure("bad", 20, 0)).toMatchObject({ sent: 20, echoed: 20, doubled: 0, overtaken: 0 });
  });

  it("has cone routers, which show everybody the same port, and symmetric ones, which do not", async () => {
    const servers = [lab.address("one"), one.udpPort, lab.address("two"), two.udpPort];
    const fromCone = await ask<string[]>("home", "seen", ...servers);
    expect(fromCone[0]).toMatch(`${INTERNET}.`);
    expect(fromCone[0]).toBe(fromCone[1]);
    const [first, second] = await ask<string[]>("phone", "seen", ...servers);
    expect(first!.split(":")[0]).toBe(second!.split(":")[0]);
    expect(first).not.toBe(second);
  });

  it("lets nobody in from outside, and the machines of one home to each other", async () => {
    const { tcpPort } = await serve("home");
    const dials = [
      ask("one", "dial", lab.address("cone"), tcpPort),
      ask("one", "dial", lab.address("home"), tcpPort),
      ask("guest", "dial", lab.address("home"), tcpPort),
      ask("home", "dial", lab.address("one"), one.tcpPort),
    ];
    expect(await Promise.all(dials)).toEqual([false, false, true, true]);
  });

  it("has no way to any other network", async () => {
    expect(await ask("home", "dial", "192.0.2.1", 80)).toBe(false);
    const routes = lab.spawn("one", ["ip", "route", "show", "default"], { stdio: ["ignore", "pipe", "inherit"] });
    const lines = await routes.stdout!.toArray();
    expect(lines).toEqual([]);
  });
});

describe.skipIf(missing)("the end of a lab", () => {
  const namespacesOf = (pid: number) =>
    fs.existsSync("/run/netns") ? fs.readdirSync("/run/netns").filter((name) => name.includes(`-${pid}-`)) : [];
  const holder = path.join(import.meta.dirname, "holder.ts");

  async function hold(): Promise<{ test: ChildProcess; lab: number; inside: number }> {
    const test = fork(holder, [], { execArgv: [] });
    const { lab, inside } = await answerOf<{ lab: number; inside: number }>(test);
    expect(namespacesOf(lab)).toHaveLength(2);
    return { test, lab, inside };
  }
  const gone = async (pid: number) => {
    await expect.poll(() => fs.existsSync(`/proc/${pid}`), { timeout: 30_000 }).toBe(false);
  };

  it("removes namespaces and processes when the test is killed", async () => {
    const { test, lab, inside } = await hold();
    test.kill("SIGKILL");
    await gone(lab);
    expect(namespacesOf(lab)).toEqual([]);
    await gone(inside);
  });

  it("leaves alone what another test tries out meanwhile, and removes what an ended one left", async () => {
    const ended = fork(path.join(import.meta.dirname, "line.ts"), [], { execArgv: [] });
    await once(ended, "exit");
    const [running, left] = [namespaceOf(process.pid, PROBE), namespaceOf(ended.pid!, PROBE)];
    await run(["ip", "netns", "add", running]);
    await run(["ip", "netns", "add", left]);
    const lab = await openLab({ hosts: { one: {} } });
    await lab.close();
    const names = fs.readdirSync("/run/netns");
    await run(["ip", "netns", "delete", running]);
    expect(names).toContain(running);
    expect(names).not.toContain(left);
  });

  it("is made up for by the next lab when it was killed itself", async () => {
    const { test, lab, inside } = await hold();
    process.kill(lab, "SIGKILL");
    await gone(lab);
    expect(namespacesOf(lab)).toHaveLength(2);
    const next = await openLab({ hosts: { one: {} } });
    expect(namespacesOf(lab)).toEqual([]);
    await gone(inside);
    await next.close();
    test.kill("SIGKILL");
  });
});
