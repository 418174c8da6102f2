import type { Hex } from "@skynet/protocol";
import { createTestClient, http, parseEther, publicActions, walletActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from "vitest";
import * as Delegate from "../generated/Delegate.ts";
import { relayRegistryAbi } from "./chain/abi.ts";
import { createSender } from "./chain/transactions.ts";
import { connect } from "./chain/connection.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";

const DAY = 86_400;
const DEPOSIT = parseEther("0.01");
const HERE = "/ip4/203.0.113.7/tcp/60000";
const THERE = "/dns4/relay.example/tcp/443/wss";

let chain: TestChain;
let alice: Chain;
let bob: Chain;
let carol: Chain;
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(3);
  [alice, bob, carol] = chain.parties as [Chain, Chain, Chain];
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const publicKeyOf = (index: number) => privateKeyToAccount(testKey(index)).publicKey;
const refusal = (code: string, details: readonly unknown[] = []) => expect.objectContaining({ code, details });

/** Any call of the registry by a party. */
async function call(index: number, functionName: string, args: readonly unknown[], value = 0n) {
  const send = createSender(await connect(chain.anvil.rpcUrl, testKey(index)));
  return send({ address: alice.addresses.relayRegistry, abi: relayRegistryAbi, functionName, args, value });
}

describe("a relay", () => {
  test("is found with its key and addresses until its time is over", async () => {
    await alice.relays.announce([HERE, THERE], DAY);
    const [entry] = await bob.relays.list();
    expect(entry).toMatchObject({ relay: alice.address, multiaddrs: [HERE, THERE] });
    expect(entry!.publicKey.slice(4)).toBe(publicKeyOf(0).slice(4, 68));
    expect(entry!.expiry).toBeGreaterThan((await bob.now()) + DAY - 100);
    await chain.advance(DAY - 60);
    expect(await bob.relays.list()).toHaveLength(1);
    await chain.advance(60);
    expect(await bob.relays.list()).toEqual([]);
    expect(await bob.relays.count()).toBe(1);
  });

  test("renews, changes its addresses, and comes back after its end without another deposit", async () => {
    await alice.relays.announce([HERE], 60);
    await alice.relays.renew(DAY);
    await chain.advance(3600);
    expect(await bob.relays.list()).toHaveLength(1);
    await alice.relays.announce([THERE], 60);
    expect((await bob.relays.list())[0]!.multiaddrs).toEqual([THERE]);
    await chain.advance(3600);
    await bob.relays.prune(alice.address);
    expect(await bob.relays.count()).toBe(0);
    expect(await bob.relays.deposit(alice.address)).toBe(DEPOSIT);
    await alice.relays.announce([HERE], 60);
    expect(await bob.relays.deposit(alice.address)).toBe(DEPOSIT);
    await expect(bob.relays.renew(60)).rejects.toEqual(refusal("NotListed"));
  });

  test("gets its whole deposit back when it leaves, once", async () => {
    const before = await alice.gasBalance();
    const announced = await alice.relays.announce([HERE], DAY);
    const left = await alice.relays.withdraw();
    const gas = [announced, left].reduce((sum, it) => sum + it.gasUsed * it.effectiveGasPrice, 0n);
    expect(await alice.gasBalance()).toBe(before - gas);
    expect(await bob.relays.list()).toEqual([]);
    expect(await bob.relays.entry(alice.address)).toBeUndefined();
    await expect(alice.relays.withdraw()).rejects.toEqual(refusal("NoDeposit"));
  });

  test("also when somebody has pruned its entry", async () => {
    await alice.relays.announce([HERE], 60);
    await chain.advance(61);
    await bob.relays.prune(alice.address);
    await alice.relays.withdraw();
    expect(await bob.relays.deposit(alice.address)).toBe(0n);
    expect(await chain.parties[1]!.gasBalance(alice.addresses.relayRegistry)).toBe(0n);
  });
});

describe("nobody", () => {
  test("lists a key that is not its own, or the key of another relay", async () => {
    const publicKey = (index: number): Hex => `0x${publicKeyOf(index).slice(4)}`;
    const announce = (key: Hex) => call(1, "announce", [key, HERE, 60n], DEPOSIT);
    await expect(announce(publicKey(0))).rejects.toEqual(refusal("BadRelayKey"));
    await expect(announce(`0x04${publicKey(1).slice(2)}`)).rejects.toEqual(refusal("BadRelayKey"));
    await expect(announce("0x")).rejects.toEqual(refusal("BadRelayKey"));
    await announce(publicKey(1));
  });

  test("is listed without the deposit, with another amount, for ever, or with addresses without bound", async () => {
    const key: Hex = `0x${publicKeyOf(1).slice(4)}`;
    for (const value of [0n, DEPOSIT - 1n, DEPOSIT + 1n])
      await expect(call(1, "announce", [key, HERE, 60n], value)).rejects.toEqual(refusal("BadDeposit", [DEPOSIT]));
    await expect(bob.relays.announce(["a".repeat(257)], 60)).rejects.toEqual(refusal("BadMultiaddrs"));
    await expect(bob.relays.announce([], 60)).rejects.toEqual(refusal("BadMultiaddrs"));
    for (const lifetime of [0, 7 * DAY + 1])
      await expect(bob.relays.announce([HERE], lifetime)).rejects.toEqual(refusal("BadLifetime"));
    await bob.relays.announce([HERE], 7 * DAY);
    await expect(bob.relays.renew(7 * DAY + 1)).rejects.toEqual(refusal("BadLifetime"));
  });

  test("takes a live relay off the list, or takes its deposit", async () => {
    await alice.relays.announce([HERE], DAY);
    const { expiry } = (await alice.relays.entry())!;
    await expect(bob.relays.prune(alice.address)).rejects.toEqual(refusal("NotExpired", [BigInt(expiry)]));
    await expect(bob.relays.withdraw()).rejects.toEqual(refusal("NoDeposit"));
    await expect(bob.relays.prune(carol.address)).rejects.toEqual(refusal("NotListed"));
    expect(await bob.relays.list()).toHaveLength(1);
  });
});

test("the list is read in pages, and stays whole when relays leave", async () => {
  await alice.relays.announce([HERE], DAY);
  await bob.relays.announce([THERE], DAY);
  await carol.relays.announce([HERE, THERE], DAY);
  expect((await bob.relays.list({ from: 1, most: 1 })).map(({ relay }) => relay)).toEqual([bob.address]);
  expect((await bob.relays.list({ from: 1 })).map(({ relay }) => relay)).toEqual([bob.address, carol.address]);
  expect(await bob.relays.list({ from: 3 })).toEqual([]);
  await alice.relays.withdraw();
  const left = await bob.relays.list();
  expect(left.map(({ relay, multiaddrs }) => [relay, multiaddrs])).toEqual([
    [carol.address, [HERE, THERE]],
    [bob.address, [THERE]],
  ]);
});

test("an account whose code refuses ether keeps its entry and its deposit", async () => {
  const rpc = createTestClient({ mode: "anvil", transport: http(chain.anvil.rpcUrl) })
    .extend(publicActions)
    .extend(walletActions);
  await alice.relays.announce([HERE], DAY);
  const account = privateKeyToAccount(testKey(1));
  const hash = await rpc.deployContract({ abi: Delegate.abi, bytecode: Delegate.bytecode, account, chain: null });
  const { contractAddress } = await rpc.waitForTransactionReceipt({ hash });
  await rpc.setCode({ address: alice.address, bytecode: `0xef0100${contractAddress!.slice(2)}` });
  await expect(alice.relays.withdraw()).rejects.toEqual(refusal("RefundFailed"));
  expect(await bob.relays.list()).toHaveLength(1);
  expect(await bob.relays.deposit(alice.address)).toBe(DEPOSIT);
});
