// Takes the place of anvil.ts when the coverage of the contracts is measured: the chain of Hardhat, which tells about
// every marked place that a call has passed, behind the same interface.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import type { Hex } from "@skynet/protocol";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { Anvil, AnvilOptions } from "../anvil.ts";
import { CREATE2_PROXY } from "../deployment/create2.ts";
import { DEVELOPMENT_CHAIN_ID } from "../deployment/deploy.ts";
import { hitsFolder } from "./places.ts";

export type { Anvil, AnvilOptions } from "../anvil.ts";

type Request = (method: string, params: readonly unknown[]) => Promise<unknown>;

/** Runtime code of the deterministic deployment proxy, which anvil has from the start. */
const PROXY_CODE =
  "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";
const HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935";
/** The contract of EIP-2935 (without hashes): Hardhat's own explains in its answer that it is missing. */
const HISTORY_CODE =
  "0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500";

/** 16 million. */
const CALL_GAS = "0xf42400";

async function openProvider(chainId: number, hits: Set<number>) {
  const network = {
    type: "edr-simulated",
    chainId,
    hardfork: "prague",
    allowUnlimitedContractSize: true,
    allowBlocksWithSameTimestamp: true,
    throwOnTransactionFailures: false,
    initialBaseFeePerGas: 0,
    blockGasLimit: 4_000_000_000n,
    // tests set times of blocks, from now on
    initialDate: new Date(Date.now() - 1_000).toISOString(),
  } as const;
  const root = path.join(import.meta.dirname, "..", "..");
  const hre = await createHardhatRuntimeEnvironment({ networks: { coverage: network } }, {}, root);
  hre.hooks.registerHandlers("network", {
    onCoverageData: async (_, tags) => {
      for (const tag of tags) hits.add(Number(`0x${tag}`));
    },
  });
  return hre.network.create({ network: "coverage" });
}

/** Methods of anvil under the names of Hardhat, and those that wait for the receipt. */
function translate(request: Request): Request {
  return async (method, params) => {
    // without a limit an endless loop would use the gas of a whole block, and the memory to tell about it
    const [call, ...rest] = params;
    if (method === "eth_call" || method === "eth_estimateGas")
      return request(method, [{ gas: CALL_GAS, ...(call as object) }, ...rest]);
    const sync = /^(eth_send(?:Raw)?Transaction)Sync$/.exec(method);
    if (sync !== null) return request("eth_getTransactionReceipt", [await request(sync[1]!, params.slice(0, 1))]);
    return request(method.replace(/^anvil_/, "hardhat_"), params);
  };
}

interface JsonRpc {
  readonly id: number;
  readonly method: string;
  readonly params?: readonly unknown[];
}

/** What a contract reverted with, as anvil says it. */
function failureOf(error: unknown): object {
  const { message, code, data } = error as { message: string; code?: number; data?: { data?: Hex } | Hex };
  const reason = typeof data === "object" ? data.data : data;
  return {
    code: reason === undefined ? (code ?? -32_603) : 3,
    message,
    ...(reason === undefined ? {} : { data: reason }),
  };
}

async function answer(request: Request, { id, method, params = [] }: JsonRpc): Promise<object> {
  try {
    return { jsonrpc: "2.0", id, result: await request(method, params) };
  } catch (error) {
    return { jsonrpc: "2.0", id, error: failureOf(error) };
  }
}

async function serve(request: Request): Promise<http.Server> {
  const server = http.createServer(async (incoming, reply) => {
    const body = JSON.parse(await text(incoming)) as JsonRpc | JsonRpc[];
    const answers = Array.isArray(body)
      ? await Promise.all(body.map((one) => answer(request, one)))
      : await answer(request, body);
    reply.setHeader("content-type", "application/json");
    reply.end(JSON.stringify(answers));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** See `startAnvil` in anvil.ts; state is not kept, and options that tune anvil mean nothing. */
export async function startAnvil(options: AnvilOptions): Promise<Anvil> {
  const hits = new Set<number>();
  const connection = await openProvider(options.chainId ?? DEVELOPMENT_CHAIN_ID, hits);
  const request = translate((method, params) => connection.provider.request({ method, params: [...params] }));
  await request("hardhat_setCode", [CREATE2_PROXY, PROXY_CODE]);
  await request("hardhat_setCode", [HISTORY, HISTORY_CODE]);
  const server = await serve(request);
  const { port } = server.address() as AddressInfo;
  return {
    rpcUrl: `http://127.0.0.1:${port}`,
    port,
    pid: process.pid,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await connection.close();
      fs.mkdirSync(hitsFolder, { recursive: true });
      fs.writeFileSync(path.join(hitsFolder, `${randomUUID()}.json`), JSON.stringify([...hits]));
    },
    setBalance: async (address, wei) => {
      await request("hardhat_setBalance", [address, `0x${wei.toString(16)}`]);
    },
  };
}
