// A stock light node in a process of its own, driven over the IPC channel.
import process from "node:process";
import { startLightNode } from "./light-node.mjs";

process.on("disconnect", () => process.exit());

let client;
process.on("message", async ({ id, name, options }) => {
  try {
    if (name === "start") client = await startLightNode(options);
    const value = name === "start" ? undefined : await client[name](options ?? {});
    process.send({ id, value });
    if (name === "stop") process.disconnect();
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
