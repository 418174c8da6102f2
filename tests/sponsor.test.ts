import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { createChain, type Chain } from "@skynet/contracts";
import { createKeystore, startChild, type SkyNetChild } from "@skynet/node";
import { toHex, type Hex } from "@skynet/protocol";
import { createPublicClient, createTestClient, createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as Delegate from "../packages/contracts/generated/Delegate.ts";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { writeSmallJob } from "./support/small-job.ts";
import { writeTinyJob } from "./support/tiny-job.ts";

/** First account of anvil's public test mnemonic. */
const FAUCET_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const TOKEN = 1_000_000n;

let net: TestNetwork;
let faucet: Chain;
const children: SkyNetChild[] = [];
beforeAll(async () => {
  net = await startTestNetwork(0);
  faucet = await createChain({ rpcUrl: net.rpcUrl, privateKey: FAUCET_KEY });
}, 60_000);
afterAll(async () => {
  await Promise.all(children.map((child) => child.stop()));
  await net.close();
}, 60_000);

interface Newcomer {
  readonly key: Hex;
  readonly address: Hex;
  readonly child: SkyNetChild;
  /** Calls that sponsors have paid for it, as its process says. */
  readonly sponsored: { readonly call: string; readonly sponsor: Hex; readonly hash: Hex }[];
}

const addressOf = (key: Hex) => privateKeyToAccount(key).address.toLowerCase() as Hex;

/** A wallet file; its options for the command line. */
async function walletOf(name: string, key: Hex): Promise<string[]> {
  const keystore = path.join(net.folder, `${name}.json`);
  const passphraseFile = path.join(net.folder, `${name}.passphrase`);
  await fs.writeFile(passphraseFile, "newcomer\n");
  await createKeystore(keystore, Buffer.from(key.slice(2), "hex"), "newcomer", 1024);
  return ["--keystore", keystore, "--passphrase-file", passphraseFile];
}

/** A worker process whose wallet never had any ether. */
async function startNewcomer(name: string, key: Hex, args: readonly string[] = []): Promise<Newcomer> {
  const wallet = await walletOf(name, key);
  const place = ["--data", path.join(net.folder, name), "--rpc", net.rpcUrl, "--relay", net.relay];
  const child = startChild(["worker", ...wallet, ...place, "--threads", "1", "--withdraw", ...args]);
  children.push(child);
  const sponsored: Newcomer["sponsored"] = [];
  child.onEvent((event) => {
    if (event.event === "sponsored") sponsored.push(event as unknown as Newcomer["sponsored"][number]);
  });
  await child.event("ready");
  return { key, address: addressOf(key), child, sponsored };
}

async function giveEther(address: Hex): Promise<void> {
  const client = createTestClient({ mode: "anvil", transport: http(net.rpcUrl) });
  await client.setBalance({ address, value: 10n ** 19n });
}

/** Makes an account one with code (EIP-7702); the faucet sends its authorization. */
async function delegate(key: Hex): Promise<void> {
  const options = { chain: foundry, transport: http(net.rpcUrl) };
  const faucet = createWalletClient({ ...options, account: privateKeyToAccount(FAUCET_KEY) });
  const reader = createPublicClient(options);
  const { abi, bytecode } = Delegate;
  const created = await reader.waitForTransactionReceipt({ hash: await faucet.deployContract({ abi, bytecode }) });
  const owner = createWalletClient({ ...options, account: privateKeyToAccount(key) });
  const authorization = await owner.signAuthorization({
    account: owner.account,
    contractAddress: created.contractAddress!,
    executor: faucet.account,
  });
  const hash = await faucet.sendTransaction({ authorizationList: [authorization], to: faucet.account.address });
  await reader.waitForTransactionReceipt({ hash });
  expect(await reader.getCode({ address: owner.account.address })).toMatch(/^0xef0100/);
}

/** Actions of workers that a transaction carries: its rows, or one. */
async function actionsIn(hash: Hex): Promise<number> {
  const call = await faucet.transactionInput(hash);
  return call && ["joinFor", "ready", "commitFor", "attest"].includes(call.functionName)
    ? (call.args.at(-1) as readonly unknown[]).length
    : 1;
}

describe("workers without ether", () => {
  let workers: Newcomer[];

  it("are told what to do when nobody pays", { timeout: 120_000 }, async () => {
    const newcomer = await startNewcomer("unpaid", toHex(randomBytes(32)));
    const job = await writeSmallJob(path.join(net.folder, "unpaid-job"), { workers: 1, rounds: 1 });
    const requester = net.train(job, path.join(net.folder, "unpaid-requester"));
    const { reason } = await newcomer.child.event("refused", 60_000);
    expect(reason).toContain("too little ether");
    await Promise.all([requester.stop(), newcomer.child.stop()]);
  });

  it(
    "register, stake, join, commit, prove, attest, are paid and withdraw through the requester's node, in fewer transactions than actions",
    { timeout: 240_000 },
    async () => {
      const token = faucet.addresses.testToken;
      const keys = Array.from({ length: 3 }, () => toHex(randomBytes(32)));
      const [first, second, third] = keys.map(addressOf) as [Hex, Hex, Hex];
      // tokens in the wallet, which move by permit; a deposit that somebody made; and a wallet that has code
      await faucet.mint(100n * TOKEN, first);
      await faucet.mint(100n * TOKEN);
      await faucet.deposit(token, 100n * TOKEN, second);
      await faucet.mint(100n * TOKEN, third);
      await delegate(keys[2]!);
      workers = await Promise.all(keys.map((key, i) => startNewcomer(`newcomer-${i}`, key)));

      const job = await writeTinyJob(path.join(net.folder, "job"), {
        workers: 3,
        rounds: 1,
        gas: "sponsored",
        windows: { commit: 90, draw: 60, prove: 90, merge: 60 },
      });
      const requester = net.train(job);
      const summary = await requester.event("summary", 200_000);
      expect(summary).toMatchObject({ outcome: "COMPLETED", provenWorkerRounds: 3, slashed: 0 });
      await Promise.all(workers.map(({ child }) => child.event("withdrawn", 30_000)));

      for (const { address, sponsored } of workers) {
        const owned = await faucet.balances(token, address);
        expect(await faucet.gasBalance(address)).toBe(0n);
        // a round at 10; stake and pay are the worker's again
        const all = owned.wallet + owned.ledger + owned.freeStake;
        expect(all).toBeGreaterThanOrEqual(110n * TOKEN);
        expect(owned).toMatchObject({ ledger: 0n, freeStake: 20n * TOKEN, lockedStake: 0n });
        const calls = sponsored.map(({ call }) => call);
        for (const call of ["registerFor", "addStakeFor", "joinFor", "commitFor", "prove"])
          expect(calls).toContain(call);
      }
      const transactions = [...new Set(workers.flatMap(({ sponsored }) => sponsored.map(({ hash }) => hash)))];
      const actions = (await Promise.all(transactions.map((hash) => actionsIn(hash)))).reduce((a, b) => a + b);
      console.info(`${actions} actions in ${transactions.length} transactions`);
      // readiness and attestations at the least are gathered
      expect(actions - transactions.length).toBeGreaterThanOrEqual(4);
    },
  );

  it("work through relays that sponsor; when one dies the other pays on", { timeout: 240_000 }, async () => {
    // Two of the workers before, which now pay for themselves.
    const [stopped, ...paying] = workers as [Newcomer, Newcomer, Newcomer];
    await stopped.child.stop();
    for (const { address } of paying) await giveEther(address);
    const relays = new Map<Hex, SkyNetChild>();
    const multiaddrs: string[] = [];
    for (const name of ["sponsor-a", "sponsor-b"]) {
      const key = toHex(randomBytes(32));
      await giveEther(addressOf(key));
      const wallet = await walletOf(name, key);
      const sponsoring = ["--sponsor", "--rpc", net.rpcUrl, "--sponsor-budget", "100"];
      const relay = startChild(["relay", ...wallet, "--data", path.join(net.folder, name), ...sponsoring]);
      children.push(relay);
      relays.set(addressOf(key), relay);
      multiaddrs.push(((await relay.event("listening")).multiaddrs as string[])[0]!);
    }
    const key = toHex(randomBytes(32));
    await faucet.mint(100n * TOKEN, addressOf(key));
    const more = multiaddrs.flatMap((address) => ["--relay", address]);
    const newcomer = await startNewcomer("newcomer", key, more);
    let killed: Hex | undefined;
    newcomer.child.onEvent((event) => {
      if (event.event !== "sponsored" || event.call !== "joinFor" || killed) return;
      killed = event.sponsor as Hex;
      relays.get(killed)!.process.kill("SIGKILL");
    });
    const requester = net.train(await writeSmallJob(path.join(net.folder, "job"), { rounds: 1 }));
    const summary = await requester.event("summary", 150_000);
    expect(summary).toMatchObject({ outcome: "COMPLETED", rounds: 1 });
    expect(BigInt(summary.paid as string)).toBe(30n * TOKEN + TOKEN / 2n);
    await newcomer.child.event("withdrawn", 30_000);
    const commit = newcomer.sponsored.find(({ call }) => call === "commitFor")!;
    expect(relays.has(commit.sponsor)).toBe(true);
    expect(commit.sponsor).not.toBe(killed);
    expect(await faucet.gasBalance(newcomer.address)).toBe(0n);
    const owned = await faucet.balances(faucet.addresses.testToken, newcomer.address);
    expect(owned.wallet + owned.freeStake).toBeGreaterThanOrEqual(110n * TOKEN);
  });
});
