import { VerifierKind, verifierIdOf } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { createTestClient, http, keccak256, zeroHash } from "viem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Delegate from "../generated/Delegate.ts";
import { verifierRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { proofFor, verifierDescription, verifierInitcode } from "./test-proof-job.ts";

let chain: TestChain;
let party: Chain;
let other: Chain;
let connection: Connection;

beforeAll(async () => {
  chain = await startTestChain(2);
  [party, other] = chain.parties as [Chain, Chain];
  connection = await connect(chain.anvil.rpcUrl, testKey(0));
});
afterAll(() => chain.stop());

const id = (digit: string): Hex => `0x${digit.repeat(64)}`;
const statement = { context: id("1"), idIn: id("2"), idOut: id("3"), idData: id("4") };

/** Initcode that creates a contract with this runtime code, padded to `size` bytes. */
function creationOf(runtime: string, size = 32): Hex {
  const code = runtime.padEnd(2 * size, "0");
  const length = (code.length / 2).toString(16).padStart(4, "0");
  // PUSH2 length, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN
  return `0x61${length}80600c6000396000f3${code}`;
}

describe("the verifier registry", () => {
  test("deploys once, under an id that everybody computes", async () => {
    const first = await party.deployVerifier(verifierDescription, verifierInitcode, { source: "bafymodel" });
    expect(first.receipt).toBeDefined();
    const code = (await connection.publicClient.getCode({ address: first.at }))!;
    expect(first.verifierId).toBe(verifierIdOf(verifierDescription, keccak256(code)));
    const entry = await other.verifierEntry(first.verifierId);
    expect(entry).toEqual({
      ...verifierDescription,
      verifierId: first.verifierId,
      at: first.at,
      since: first.receipt!.blockNumber,
      codehash: keccak256(code),
      registrar: party.address,
    });
    const second = await other.deployVerifier(verifierDescription, verifierInitcode);
    expect(second).toEqual({ ...first, receipt: undefined });
  });

  test("a second deployment that is sent all the same changes nothing", async () => {
    const { verifierId, at } = await party.deployVerifier(verifierDescription, verifierInitcode);
    const again = await other.registerVerifier(verifierDescription, at);
    expect(again.verifierId).toBe(verifierId);
    expect(again.receipt.logs).toEqual([]);
    expect((await party.verifierEntry(verifierId)).registrar).toBe(party.address);
    const { walletClient, publicClient } = connection;
    const hash = await walletClient.writeContract({
      address: party.addresses.verifierRegistry,
      abi: verifierRegistryAbi,
      functionName: "deploy",
      args: [verifierDescription, verifierInitcode, ""],
    });
    expect(await publicClient.waitForTransactionReceipt({ hash })).toMatchObject({ status: "success", logs: [] });
  });

  test("knows descriptions of one code apart", async () => {
    const { verifierId, at } = await party.deployVerifier(verifierDescription, verifierInitcode);
    const changes = [{ kind: VerifierKind.INFER }, { srsHash: id("5") }, { weightsTag: id("6") }, { weightBlocks: 3 }];
    const ids = new Set<Hex>([verifierId]);
    for (const change of changes) {
      const registered = await party.registerVerifier({ ...verifierDescription, ...change }, at);
      expect(await party.verifierEntry(registered.verifierId)).toMatchObject({ ...change, at });
      ids.add(registered.verifierId);
    }
    expect(ids.size).toBe(5);
    await expect(party.verifierEntry(id("9"))).rejects.toMatchObject({ code: "UnknownVerifier" });
  });

  test("asks the verifier", async () => {
    const { verifierId } = await party.deployVerifier(verifierDescription, verifierInitcode);
    const proof = proofFor(statement.context, statement.idIn, statement.idOut, statement.idData);
    expect(await party.verify(verifierId, statement, proof)).toBe(true);
    expect(await party.verify(verifierId, { ...statement, idOut: id("7") }, proof)).toBe(false);
    expect(await party.verify(id("9"), statement, proof)).toBe(false);
  });

  const yes = "600160005260206000f3";
  test.each([
    ["one word of 1", yes, true],
    ["one word of 2", "600260005260206000f3", false],
    ["one word of 0", "600060005260206000f3", false],
    ["two words", "600160005260406000f3", false],
    ["half a word", "60015f5260106010f3", false],
    ["nothing", "00", false],
    ["a revert with one word of 1", "600160005260206000fd", false],
    ["an invalid instruction, which burns all gas", "fe", false],
    ["an endless loop", "5b600056", false],
  ])("takes only one word of 1 for a yes: %s", async (name, runtime, expected) => {
    const description = { ...verifierDescription, circuitHash: keccak256(`0x${Buffer.from(name).toString("hex")}`) };
    const { verifierId } = await party.deployVerifier(description, creationOf(runtime));
    expect(await party.verify(verifierId, statement, "0x")).toBe(expected);
  });

  test("refuses accounts, delegations, code that is too short, and descriptions of nothing", async () => {
    const register = (at: Hex, change = {}) => party.registerVerifier({ ...verifierDescription, ...change }, at);
    await expect(register(party.address)).rejects.toMatchObject({ code: "BadCode" });
    const { at } = await party.deployVerifier(verifierDescription, verifierInitcode);
    await expect(register(at, { kind: 3 })).rejects.toMatchObject({ code: "BadKind" });
    await expect(register(at, { weightBlocks: 0 })).rejects.toMatchObject({ code: "BadBlocks" });
    const short = party.deployVerifier({ ...verifierDescription, circuitHash: id("8") }, creationOf(yes, 23));
    await expect(short).rejects.toMatchObject({ code: "BadCode" });
    const failing = party.deployVerifier({ ...verifierDescription, circuitHash: id("8") }, "0xfe");
    await expect(failing).rejects.toMatchObject({ code: "CreationFailed" });

    const { walletClient, publicClient, account } = await connect(chain.anvil.rpcUrl, testKey(1));
    const deployed = await walletClient.deployContract({ abi: Delegate.abi, bytecode: Delegate.bytecode });
    const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash: deployed });
    const authorization = await walletClient.signAuthorization({
      account,
      contractAddress: contractAddress!,
      executor: "self",
    });
    const hash = await walletClient.sendTransaction({ authorizationList: [authorization], to: party.address });
    await publicClient.waitForTransactionReceipt({ hash });
    await expect(register(other.address)).rejects.toMatchObject({ code: "BadCode" });
    // anvil can place code that no transaction could
    const rpc = createTestClient({ mode: "anvil", transport: http(chain.anvil.rpcUrl) });
    const [large, largest] = [id("b"), id("c")].map((hex) => hex.slice(0, 42) as Hex);
    await rpc.setCode({ address: large!, bytecode: `0x${"00".repeat(24_577)}` });
    await expect(register(large!)).rejects.toMatchObject({ code: "BadCode" });
    await rpc.setCode({ address: largest!, bytecode: `0x${"00".repeat(24_576)}` });
    await expect(register(largest!)).resolves.toBeDefined();
  });

  test("says no when the code is not what was registered", async () => {
    const description = { ...verifierDescription, circuitHash: id("d") };
    const { verifierId, at } = await party.deployVerifier(description, creationOf(yes));
    expect(await party.verify(verifierId, statement, "0x")).toBe(true);
    const rpc = createTestClient({ mode: "anvil", transport: http(chain.anvil.rpcUrl) });
    await rpc.setCode({ address: at, bytecode: `0x${yes.padEnd(66, "0")}` });
    expect(await party.verify(verifierId, statement, "0x")).toBe(false);
  });
});

describe("beacons", () => {
  test("have no value for the present and the future", async () => {
    const { blockhashBeacon, testBeacon } = party.addresses;
    for (let i = 0; i < 3; i++) await chain.advance(1);
    const now = await party.blockNumber();
    for (const beacon of [blockhashBeacon, testBeacon]) {
      for (const ticket of [now, now + 1n]) expect(await party.beaconValue(beacon, ticket)).toBeUndefined();
      expect(await party.beaconValue(beacon, 2n ** 64n - 1n)).toBeUndefined();
      const { hash } = await connection.publicClient.getBlock({ blockNumber: now - 1n });
      expect(await party.beaconValue(beacon, now - 1n)).toBe(keccak256(hash));
    }
  });

  test("have no value for the future, whatever the history contract of the chain answers", async () => {
    const rpc = createTestClient({ mode: "anvil", transport: http(chain.anvil.rpcUrl) });
    const address = "0x0000F90827F1C53a10cb7A02335B175320002935";
    const honest = (await connection.publicClient.getCode({ address }))!;
    // reverts with one word of 1, as a contract that explains itself does
    await rpc.setCode({ address, bytecode: "0x600160005260206000fd" });
    const now = await party.blockNumber();
    for (const ticket of [now, now + 1n, now + 8n, 2n ** 64n - 1n])
      expect(await party.beaconValue(party.addresses.blockhashBeacon, ticket)).toBeUndefined();
    await rpc.setCode({ address, bytecode: honest });
  });

  test("a chain whose contracts see other block hashes is refused", async () => {
    await party.assertDeployed();
    const rpc = createTestClient({ mode: "anvil", transport: http(chain.anvil.rpcUrl) });
    const address = party.addresses.blockhashBeacon;
    const honest = (await connection.publicClient.getCode({ address }))!;
    // answers every question with the hash of nothing in particular
    await rpc.setCode({ address, bytecode: `0x7f${zeroHash.slice(2, -1)}160005260206000f3` });
    await expect(party.assertDeployed()).rejects.toMatchObject({ code: "FalseBlockhash" });
    await expect(party.deploy()).rejects.toMatchObject({ code: "FalseBlockhash" });
    await rpc.setCode({ address, bytecode: honest });
    await party.assertDeployed();
  });
});
