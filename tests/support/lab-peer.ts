// A node on a machine of a network lab that has content and fetches content. Arguments: its number, its address, relays.
// Takes requests over the IPC channel.
import process from "node:process";
import { createHost, createIdentity, fetchBlock, fetchBlocks, listenAddresses, serveBlocks } from "@skynet/network";
import { cidOf, decode, encode, type Hex } from "@skynet/protocol";
import { createChance } from "../netlab/line.ts";

export type PeerRequest =
  | { readonly do: "make"; readonly bytes: number }
  | { readonly do: "fetch"; readonly from: Hex; readonly cid: string }
  | { readonly do: "report"; readonly peer: Hex };

export type PeerReply =
  | { readonly address: Hex }
  | { readonly cid: string }
  | { readonly receivedBytes: number }
  | { readonly fetchedBytes: number }
  | { readonly failed: string }
  | PeerReport;

export interface PeerReport {
  /** Address of the connection to the other peer. */
  readonly remoteAddress: string;
  /** Whether a relay carries it. */
  readonly relayed: boolean;
  readonly sentBlockBytes: number;
}

const MIB = 1024 * 1024;
const STEP_BYTES = 4 * MIB;

const [number, address, ...relays] = process.argv.slice(2) as [string, string, ...string[]];
const identity = createIdentity(new Uint8Array(32).fill(Number(number)));
const host = await createHost({ identity, listen: listenAddresses(address, 0), relays, presenceIntervalMs: 2000 });
const blocks = new Map<string, Uint8Array>();
async function put(bytes: Uint8Array): Promise<string> {
  const cid = await cidOf(bytes);
  blocks.set(cid, bytes.slice());
  return cid;
}
serveBlocks(host, { allow: () => true, get: async (cid) => blocks.get(cid) });

const say = (reply: PeerReply) => void process.send!(reply);

async function make(bytes: number): Promise<void> {
  const chance = createChance(Number(number));
  const words = Uint32Array.from({ length: bytes / 4 }, () => chance() * 2 ** 32);
  const content = new Uint8Array(words.buffer);
  const list: string[] = [];
  for (let at = 0; at < bytes; at += MIB) list.push(await put(content.subarray(at, at + MIB)));
  say({ cid: await put(encode(list)) });
}

async function fetch(from: Hex, cid: string): Promise<void> {
  let saidBytes = 0;
  const onProgress = ({ receivedBytes }: { receivedBytes: number }) => {
    if (receivedBytes < saidBytes + STEP_BYTES) return;
    saidBytes = receivedBytes;
    say({ receivedBytes });
  };
  const patience = { silenceMs: 5000, patienceMs: 120_000 };
  const list = decode(await fetchBlock(host, from, cid, patience)) as string[];
  const missing = list.filter((each) => !blocks.has(each)).map((each) => ({ cid: each }));
  const onBlock = async (_index: number, bytes: Uint8Array) => void (await put(bytes));
  await fetchBlocks(host, missing, { ...patience, sources: [from], onBlock, onProgress });
  say({ fetchedBytes: list.reduce((sum, each) => sum + blocks.get(each)!.length, 0) });
}

async function report(peer: Hex): Promise<void> {
  const { remoteAddr, limits } = await host.connect(peer);
  const protocols = Object.entries(host.traffic().protocols).filter(([name]) => name.startsWith("/skynet/block/"));
  const sentBlockBytes = protocols.reduce((sum, [, { sentBytes }]) => sum + sentBytes, 0);
  say({ remoteAddress: remoteAddr.toString(), relayed: limits !== undefined, sentBlockBytes });
}

process.once("disconnect", () => process.exit());
process.on("message", (request: PeerRequest) => {
  const answer = async () => {
    if (request.do === "make") await make(request.bytes);
    else if (request.do === "fetch") await fetch(request.from, request.cid);
    else await report(request.peer);
  };
  answer().catch((error: unknown) => say({ failed: String(error) }));
});
await host.connected({ signal: AbortSignal.timeout(180_000) });
say({ address: identity.address });
