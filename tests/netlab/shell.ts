// npm run netlab -- [MACHINE] [--delay MS] [--loss SHARE] [--mbit RATE]: opens a test network, a relay and two homes whose
// lines have these conditions in both directions, and a shell on one of its machines. The network ends with the shell.
import { once } from "node:events";
import process from "node:process";
import { parseArgs } from "node:util";
import { openLab, whyNoLab } from "./lab.ts";
import { bothWays, planMachines, type Topology } from "./topology.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    delay: { type: "string", default: "20" },
    loss: { type: "string", default: "0" },
    mbit: { type: "string", default: "100" },
  },
});
const [delayMs, loss, mbitPerSecond] = [Number(values.delay), Number(values.loss), Number(values.mbit)];
const access = bothWays({ delayMs, loss, mbitPerSecond });
const topology: Topology = {
  routers: { cone: { nat: "cone", access }, symmetric: { nat: "symmetric", access } },
  hosts: { relay: {}, alice: { behind: "cone" }, bob: { behind: "symmetric" } },
};
const machines = planMachines(topology);
const [machine = "relay"] = positionals;
if (!machines.some(({ name }) => name === machine) || !(delayMs >= 0 && loss >= 0 && loss <= 1 && mbitPerSecond > 0)) {
  console.error("usage: npm run netlab -- [MACHINE] [--delay MS] [--loss SHARE] [--mbit RATE]");
  console.error(`machines: ${machines.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const missing = whyNoLab();
if (missing !== undefined) {
  console.error(`no test network can be opened: ${missing}`);
  process.exit(2);
}
const lab = await openLab(topology);
try {
  console.log("Shells on its machines, from other terminals:");
  for (const { name, address } of machines)
    console.log(`  ${name.padEnd(12)} ${address.padEnd(14)} ${lab.enter(name).join(" ")} bash`);
  console.log(`This one is on ${machine}; exit ends the network.`);
  await once(lab.spawn(machine, [process.env.SHELL ?? "sh"], { stdio: "inherit" }), "exit");
} finally {
  await lab.close();
}
