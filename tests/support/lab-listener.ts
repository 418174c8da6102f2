// A node on a machine of a network lab that asks its router to forward its port. Arguments: its number, its address,
// relays. Says what it announces, each time that relays have tried to reach it.
import process from "node:process";
import { createHost, createIdentity } from "@skynet/network";

const [number, address, ...relays] = process.argv.slice(2) as [string, string, ...string[]];
const log = {
  info: () => undefined,
  warn: () => undefined,
  debug: (_: object, text: string) => {
    if (text.includes("tried our addresses")) setImmediate(() => process.send!(host.multiaddrs()));
  },
};
const host = await createHost({
  identity: createIdentity(new Uint8Array(32).fill(Number(number))),
  listen: [`/ip4/${address}/tcp/4000`],
  relays,
  log,
});
process.once("disconnect", () => process.exit());
