import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createChain, rawCallOf, type Call, type Chain, type RawCall } from "@skynet/contracts";
import { ask, createHost, createIdentity, type Host } from "@skynet/network";
import { fromHex, type Hex } from "@skynet/protocol";
import {
  startTestChain,
  testKey,
  testMeta,
  testSpec,
  type TestChain,
} from "../../packages/contracts/src/test-chain.ts";
import { sponsoringRole } from "../../packages/node/src/sponsor/finding.ts";
import { createGasPayment, type GasMode } from "../../packages/node/src/sponsor/gas.ts";
import {
  decodeAnswer,
  encodeRequest,
  MAX_ANSWER_BYTES,
  SPONSOR_PROTOCOL,
  type SponsorAnswer,
} from "../../packages/node/src/sponsor/messages.ts";
import { startSponsor, type Sponsor, type SponsorOptions } from "../../packages/node/src/sponsor/sponsor.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A node of a test: its key is its wallet and its identity. */
export interface Party {
  readonly chain: Chain;
  readonly host: Host;
}

/** A real chain that mines at once, a relay, and nodes around it. */
export interface SponsoringScene {
  readonly net: TestChain;
  readonly folder: string;
  readonly token: Hex;
  /** Posts jobs. */
  readonly requester: Chain;
  node(key: number, role?: string): Promise<Party>;
  /** A node with the stake of a job in its wallet, and no ether; registered and staked if wanted. */
  newcomer(key: number, prepared?: boolean): Promise<Party>;
  sponsor(key: number, options?: Partial<SponsorOptions>): Promise<Party & { readonly sponsor: Sponsor }>;
  postJob(seats: number): Promise<Hex>;
  /** Stops the nodes, not the relay and the chain. */
  stopNodes(): Promise<void>;
  stop(): Promise<void>;
}

export async function startScene(): Promise<SponsoringScene> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-sponsor-"));
  const net = await startTestChain(1);
  const [requester] = net.parties as [Chain];
  const token = requester.addresses.testToken;
  const relay = await createHost({
    identity: createIdentity(fromHex(testKey(900))),
    relayService: true,
    role: "relay",
  });
  const hosts: Host[] = [];
  await requester.mint(10_000_000n);
  await requester.deposit(token, 5_000_000n);

  const node: SponsoringScene["node"] = async (key, role = "worker") => {
    const chain = await createChain({ rpcUrl: net.anvil.rpcUrl, privateKey: testKey(key) });
    const identity = createIdentity(fromHex(testKey(key)));
    const host = await createHost({ identity, relays: relay.multiaddrs(), role });
    hosts.push(host);
    await host.connected({ signal: AbortSignal.timeout(30_000) });
    return { chain, host };
  };
  return {
    net,
    folder,
    token,
    requester,
    node,
    newcomer: async (key, prepared = false) => {
      const party = await node(key);
      await requester.mint(500n, party.chain.address);
      if (!prepared) return party;
      const worker = party.chain.routed(async (call) => {
        await requester.forward(rawCallOf((await party.chain.signedForm(call))!));
      });
      await worker.register();
      await worker.deposit(token, 240n);
      await worker.addStake(token, 240n);
      return party;
    },
    sponsor: async (key, options = {}) => {
      const party = await node(key, sponsoringRole("relay"));
      await net.anvil.setBalance(party.chain.address, 10n ** 20n);
      const { host, chain } = party;
      const file = path.join(folder, `sponsor-${key}.json`);
      const sponsor = await startSponsor({
        host,
        chain,
        log: silent,
        file,
        chooses: () => true,
        signal: host.signal,
        ...options,
        limits: { windowMs: 150, ...options.limits },
      });
      return { ...party, sponsor };
    },
    postJob: async (seats) => (await requester.post(testSpec(requester, { seats, minSeats: 1 }), testMeta)).jobId,
    stopNodes: async () => void (await Promise.all(hosts.splice(0).map((host) => host.stop()))),
    stop: async () => {
      await Promise.all([relay, ...hosts].map((host) => host.stop()));
      await net.stop();
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
}

/** Asks a sponsor for a call, as a program that keeps to no rule could. */
export async function askSponsor(from: Party, to: Party, job: Hex, call: Call | RawCall): Promise<SponsorAnswer> {
  const raw = "data" in call ? call : rawCallOf(call);
  return decodeAnswer(await askRaw(from, to, encodeRequest({ job, call: raw })));
}

export function askRaw(from: Party, to: Party, request: Uint8Array, timeoutMs = 30_000): Promise<Uint8Array> {
  const timing = { timeoutMs, maxAnswerBytes: MAX_ANSWER_BYTES };
  return ask(from.host, to.host.identity.address, SPONSOR_PROTOCOL, request, timing);
}

/** The newcomer's chain, paid by sponsors; with what they have paid. */
export function sponsoredChain({ host, chain }: Party, mode: GasMode = "auto", answerMs = 4000) {
  const paid: { readonly call: string; readonly sponsor: Hex; readonly hash: Hex }[] = [];
  const onSponsored = (event: (typeof paid)[number]) => paid.push(event);
  const payment = createGasPayment({ host, chain, log: silent, mode, answerMs, onSponsored, signal: host.signal });
  return { ...payment, paid };
}

/** Waits until `party` has heard of these nodes. */
export async function hasHeard(party: Party, others: readonly Party[]): Promise<void> {
  for (const { host } of others) await party.host.directory.find(host.identity.address);
}
