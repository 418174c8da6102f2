// What is stricter on chains that are not for development, and what does not exist there.
import { keccak256, toHex, zeroAddress } from "viem";
import type { Abi } from "viem";
import type { Hex } from "@skynet/protocol";
import { createTestClient, http } from "viem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Deployer from "../generated/Deployer.ts";
import * as NoReturnToken from "../generated/NoReturnToken.ts";
import * as TestBeacon from "../generated/TestBeacon.ts";
import * as TestToken from "../generated/TestToken.ts";
import { startAnvil } from "./anvil.ts";
import type { Anvil } from "./anvil.ts";
import { catalogAbi, tokenAbi } from "./chain/abi.ts";
import { createChain } from "./chain/create.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import { createSender, toChainError } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import { testKey, testMeta, testSpec } from "./test-chain.ts";

const SCROLL = 534_352;
const MINUTE = 60;
const DAY = 86_400;

let anvil: Anvil;
let party: Chain;
let connection: Connection;
let token: Hex;

async function create({ abi, bytecode }: { abi: Abi; bytecode: Hex }, args: readonly unknown[] = []): Promise<Hex> {
  const { walletClient, publicClient } = connection;
  const hash = await walletClient.deployContract({ abi, bytecode, args });
  const receipt = await publicClient.waitForTransactionReceipt({ hash });
  return receipt.contractAddress!.toLowerCase() as Hex;
}

beforeAll(async () => {
  anvil = await startAnvil({ blockTimeSeconds: 0, chainId: SCROLL });
  connection = await connect(anvil.rpcUrl, testKey(0));
  party = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: testKey(0) });
  await anvil.setBalance(party.address, 10n ** 24n);
  await party.deploy();
  token = await create(NoReturnToken);
  const send = createSender(connection);
  await send({ address: token, abi: tokenAbi, functionName: "mint", args: [party.address, 1_000_000n] });
  await party.deposit(token, 1_000_000n);
});
afterAll(() => anvil.stop());

const advance = async (seconds: number) => {
  const rpc = createTestClient({ mode: "anvil", transport: http(anvil.rpcUrl) });
  await rpc.increaseTime({ seconds });
  await rpc.mine({ blocks: 1 });
};

describe("a public chain", () => {
  test("has no test token and no test beacon", async () => {
    const { publicClient } = connection;
    for (const address of [party.addresses.testToken, party.addresses.testBeacon])
      expect(await publicClient.getCode({ address })).toBeUndefined();
    const own = await create(TestToken);
    const mint = createSender(connection)({ address: own, abi: tokenAbi, functionName: "mint", args: [own, 1n] });
    await expect(mint).rejects.toMatchObject({ code: "OnlyDevelopmentChain", details: [BigInt(SCROLL)] });
    const beacon = await create(TestBeacon);
    for (const call of [{ functionName: "ticket" }, { functionName: "value", args: [1n] }] as const) {
      const asked = publicClient.readContract({ address: beacon, abi: TestBeacon.abi, ...call } as never);
      await expect(asked.catch((error: unknown) => Promise.reject(toChainError(error)))).rejects.toMatchObject({
        code: "OnlyDevelopmentChain",
      });
    }
  });

  test("takes no window below 15 minutes, whoever fills the blocks meanwhile", async () => {
    const windows = {
      joinWindow: 15 * MINUTE,
      readyWindow: 15 * MINUTE,
      commitWindow: 15 * MINUTE,
      proveWindow: 15 * MINUTE,
      mergeWindow: 15 * MINUTE,
      deliverWindow: 15 * MINUTE,
    };
    for (const name of Object.keys(windows)) {
      const spec = testSpec(party, { token, ...windows, [name]: 15 * MINUTE - 1 });
      await expect(party.post(spec, testMeta), name).rejects.toMatchObject({ code: "BadWindow" });
    }
    const { jobId } = await party.post(testSpec(party, { token, ...windows }), testMeta);
    await expect(party.tick(jobId)).rejects.toMatchObject({ code: "TooEarly" });
  });

  test("keeps stake for seven days after a worker has asked for it", async () => {
    await party.register();
    await party.addStake(token, 500n);
    await party.beginUnstake(token, 200n);
    await advance(7 * DAY - MINUTE);
    await expect(party.finishUnstake(token)).rejects.toMatchObject({ code: "StillBonded" });
    // asking for more restarts the wait for all of it
    await party.beginUnstake(token, 100n);
    await advance(6 * DAY);
    await expect(party.finishUnstake(token)).rejects.toMatchObject({ code: "StillBonded" });
    await advance(DAY + MINUTE);
    const before = (await party.balances(token)).ledger;
    await party.finishUnstake(token);
    expect(await party.balances(token)).toMatchObject({ ledger: before + 300n, freeStake: 200n, leavingStake: 0n });
  });

  test("gives sellers and buyers a day, and a seller an hour before the buyer may cancel", async () => {
    const { publicClient } = connection;
    const address = party.addresses.catalog;
    const read = (functionName: "deliveryWindow" | "complaintWindow" | "cancelDelay") =>
      publicClient.readContract({ address, abi: catalogAbi, functionName });
    expect([await read("deliveryWindow"), await read("complaintWindow"), await read("cancelDelay")]).toEqual([
      BigInt(DAY),
      BigInt(DAY),
      3_600n,
    ]);
  });
});

describe("the Deployer", () => {
  const good: Hex = "0x6001600c60003960016000f300";
  const failing: Hex = "0xfe";
  const deploy = (address: Hex, initcode: Hex) =>
    createSender(connection)({ address, abi: Deployer.abi, functionName: "deploy", args: [initcode] });

  test("creates only what it was made for, in order, and no more", async () => {
    const address = await create(Deployer, [[keccak256(good), keccak256(failing)]]);
    await expect(deploy(address, toHex("other"))).rejects.toMatchObject({ code: "WrongInitcode" });
    await expect(deploy(address, failing)).rejects.toMatchObject({ code: "WrongInitcode" });
    await deploy(address, good);
    await expect(deploy(address, good)).rejects.toMatchObject({ code: "WrongInitcode" });
    await expect(deploy(address, failing)).rejects.toMatchObject({ code: "CreationFailed" });
    const empty = await create(Deployer, [[]]);
    await expect(deploy(empty, good)).rejects.toMatchObject({ code: "NothingToDeploy" });
    expect(address).not.toBe(zeroAddress);
  });
});
