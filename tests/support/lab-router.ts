// UPnP of a router of a network lab. Arguments: its address inside, the address that it says it has outside, and whether
// it forwards what it is asked for: "true" or "false". Says "mapped" for each mapping.
import { execFileSync } from "node:child_process";
import process from "node:process";
import { startRouter, type Mapping } from "../../packages/network/src/node/upnp/testing-router.ts";

const [host, ip, forwards] = process.argv.slice(2) as [string, string, string];
const nft = (rules: string) => execFileSync("nft", [rules]);
nft(
  "add table ip upnp; add chain ip upnp pre { type nat hook prerouting priority -100; }; " +
    "insert rule ip firewall forward ct status dnat accept",
);
const onMap = ({ NewProtocol, NewExternalPort, NewInternalClient, NewInternalPort }: Mapping) => {
  const match = `iifname "eth0" ${NewProtocol!.toLowerCase()} dport ${NewExternalPort}`;
  if (forwards === "true") nft(`add rule ip upnp pre ${match} dnat to ${NewInternalClient}:${NewInternalPort}`);
  process.send!("mapped");
};
const router = await startRouter({ host, searchPort: 1900, onMap });
router.state.ip = ip;
process.once("disconnect", () => process.exit());
process.send!("ready");
