import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Hex } from "@skynet/protocol";
import type { Chain as ViemChain, PublicClient, Transport } from "viem";
import { concat, decodeAbiParameters, pad, parseAbi, toHex } from "viem";
import { startAnvil } from "../anvil.ts";
import { connect } from "../chain/connection.ts";
import { NotDeployedError } from "../errors.ts";
import { children, developmentRoots, roots, skynetAddresses } from "./addresses.ts";
import type { SkyNetAddresses } from "./addresses.ts";
import { deploySkyNet, DEVELOPMENT_CHAIN_ID, exists } from "./deploy.ts";

export type ContractName = keyof SkyNetAddresses;
export type CodeHashes = ReadonlyMap<ContractName, Hex>;

type Client = PublicClient<Transport, ViemChain>;

/** What SkyNet has on this chain: test token and test beacon exist on development chains only. */
export function contractsOn(chainId: number): readonly ContractName[] {
  const everywhere = [...roots, ...children].map(({ name }) => name);
  return chainId === DEVELOPMENT_CHAIN_ID ? [...everywhere, ...developmentRoots.map(({ name }) => name)] : everywhere;
}

/**
 * Runs code as the constructor of a contract that is never created, and returns what it leaves in memory from word 1 on:
 * what contracts see, without one. Word 0 stays zero, because no contract may begin with the byte 0xef.
 */
async function evaluate(client: Client, words: readonly Hex[]): Promise<readonly Hex[]> {
  const store = words.map((code, i) => concat([code, "0x61", pad(toHex(32 * (i + 1)), { size: 2 }), "0x52"]));
  const size = 32 * (words.length + 1);
  const { data } = await client.call({ data: concat([...store, "0x61", pad(toHex(size), { size: 2 }), "0x5ff3"]) });
  if (data === undefined || data.length !== 2 + 2 * size)
    throw new NotDeployedError("NoCall", "the chain does not evaluate code in eth_call", {
      hint: "take another RPC endpoint of this chain",
    });
  return words.map((_, i) => `0x${data.slice(66 + 64 * i, 130 + 64 * i)}` as Hex);
}

/** EXTCODEHASH of every contract that this chain should have; zero where there is nothing. */
export async function codeHashes(client: Client, chainId: number): Promise<CodeHashes> {
  const addresses = skynetAddresses();
  const names = contractsOn(chainId);
  const hashes = await evaluate(
    client,
    names.map((name) => concat(["0x73", addresses[name], "0x3f"])),
  );
  return new Map(names.map((name, i) => [name, hashes[i]!]));
}

const LOCAL_KEY: Hex = `0x${"51".repeat(32)}`;
const LOCAL_WEI = 10n ** 24n;

/**
 * Code hashes as they must be: from a deployment on a chain of the same id that lives for a moment on this machine.
 * Addresses and chain id are part of the code of some contracts, so only a deployment knows the whole code.
 * @throws AnvilError
 */
export async function expectedCodeHashes(chainId: number): Promise<CodeHashes> {
  const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-reference-"));
  const anvil = await startAnvil({ dataDir, chainId, blockTimeSeconds: 0 });
  try {
    const connection = await connect(anvil.rpcUrl, LOCAL_KEY);
    await anvil.setBalance(connection.account.address, LOCAL_WEI);
    await deploySkyNet(connection);
    return await codeHashes(connection.publicClient, chainId);
  } finally {
    await anvil.stop();
    await fs.rm(dataDir, { recursive: true, force: true });
  }
}

/**
 * Whether contracts see the hashes of blocks, before there is a beacon to ask: some chains have answered with a hash of the number, and audits drawn from
 * it would audit nothing.
 */
export async function seesTrueBlockhash(client: Client): Promise<boolean> {
  // NUMBER, and BLOCKHASH(NUMBER - 1)
  const [number, hash] = await evaluate(client, ["0x43", "0x6001430340"]);
  const [before] = decodeAbiParameters([{ type: "uint256" }], number!);
  if (before === 0n) return true;
  const block = await client.getBlock({ blockNumber: before - 1n });
  return block.hash === hash;
}

/** Oracle of the price of data on Scroll, and on other rollups that have kept its interface. */
const L1_FEE_ORACLES: readonly Hex[] = [
  "0x5300000000000000000000000000000000000002",
  "0x420000000000000000000000000000000000000F",
];
const oracleAbi = parseAbi(["function getL1Fee(bytes data) view returns (uint256)"]);

/** What a rollup takes for publishing these transactions, in wei; 0 on chains without such a price. */
export async function dataFee(client: Client, data: readonly Hex[]): Promise<bigint> {
  for (const address of L1_FEE_ORACLES) {
    if (!(await exists(client, address))) continue;
    const fees = await Promise.all(
      data.map((bytes) =>
        client.readContract({ address, abi: oracleAbi, functionName: "getL1Fee", args: [bytes] }).catch(() => 0n),
      ),
    );
    return fees.reduce((sum, fee) => sum + fee, 0n);
  }
  return 0n;
}

/**
 * A block at or before which nothing of SkyNet was on the chain. Endpoints that do not keep old states cannot say; then
 * it is 0, which is true of every chain.
 */
export async function blockBeforeDeployment(client: Client): Promise<bigint> {
  const address = skynetAddresses()[roots[0].name];
  const had = async (blockNumber: bigint) => ((await client.getCode({ address, blockNumber })) ?? "0x") !== "0x";
  let low = 0n;
  let high = await client.getBlockNumber({ cacheTime: 0 });
  try {
    if (await had(low)) return low;
    while (high - low > 1n) {
      const middle = (low + high) / 2n;
      if (await had(middle)) high = middle;
      else low = middle;
    }
    return low;
  } catch {
    return 0n;
  }
}
