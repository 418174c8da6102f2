// Proving, verifying and gas of the proof system: one process per run, gas by real transactions on anvil.
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { startAnvil } from "@skynet/contracts";
import {
  compileVerifier,
  createDevelopmentString,
  createProofSystem,
  encodeReferenceString,
  generateVerifier,
  prefixOf,
} from "@skynet/proof";
import type { Hex } from "@skynet/protocol";
import { createPublicClient, createWalletClient, encodeFunctionData, http, parseAbi, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { circuitOf, program, type RunConfig, type RunResult } from "./proof/run.ts";

const THREADS = 2;
const REPETITIONS = 5;

const cases: readonly Pick<RunConfig, "sizes" | "batch" | "statement">[] = [
  { sizes: [784, 128, 10], batch: 32, statement: "step" },
  { sizes: [784, 128, 10], batch: 128, statement: "step" },
  { sizes: [784, 512, 10], batch: 32, statement: "step" },
  { sizes: [784, 256, 128, 10], batch: 32, statement: "step" },
  { sizes: [784, 128, 10], batch: 1, statement: "inference" },
];

/** First account of anvil's public mnemonic. */
const KEY: Hex = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const abi = parseAbi(["function verify(bytes32, bytes32, bytes32, bytes32, bytes) view returns (bool)"]);

export interface ProofBenchmark {
  readonly model: string;
  readonly params: number;
  readonly batch: number;
  readonly threads: number;
  readonly zk: boolean;
  readonly statement: "step" | "inference";
  readonly proveSeconds: number;
  readonly proveSecondsOneThread: number;
  readonly verifyMs: number;
  readonly peakRssMiB: number;
  readonly proofBytes: number;
  readonly gas: number;
  readonly gasExecution: number;
  readonly contractBytes: number;
  readonly deployGas: number;
}

const run_ = promisify(execFile);

/** EIP-2028: what the transaction itself costs. */
function intrinsicGas(data: Hex): number {
  const bytes = Buffer.from(data.slice(2), "hex");
  return bytes.reduce((gas, byte) => gas + (byte === 0 ? 4 : 16), 21_000);
}

async function measureCase(
  rpcUrl: string,
  folder: string,
  srsFile: string,
  srs: Awaited<ReturnType<typeof createDevelopmentString>>,
  { sizes, batch, statement }: (typeof cases)[number],
  zk: boolean,
): Promise<ProofBenchmark> {
  const account = privateKeyToAccount(KEY);
  const reader = createPublicClient({ chain: foundry, transport: http(rpcUrl) });
  const writer = createWalletClient({ chain: foundry, transport: http(rpcUrl), account });
  const integers = program(sizes, batch);
  const circuit = circuitOf(integers, { batch, statement, zk });
  const system = await createProofSystem(circuit, prefixOf(srs, circuit.settings.blockBits));
  const { initcode, runtime } = await compileVerifier((await generateVerifier(system.key)).source);
  await system.close();
  const deployed = await reader.waitForTransactionReceipt({ hash: await writer.sendTransaction({ data: initcode }) });
  const verifier = deployed.contractAddress!.toLowerCase() as Hex;
  const out = path.join(folder, "proof.json");
  const child = async (threads: number): Promise<RunResult> => {
    const config: RunConfig = {
      sizes,
      batch,
      statement,
      zk,
      threads,
      srs: srsFile,
      verifier,
      repetitions: REPETITIONS,
      out,
    };
    const { stdout } = await run_(process.execPath, [
      path.join(import.meta.dirname, "proof", "run.ts"),
      JSON.stringify(config),
    ]);
    return JSON.parse(stdout) as RunResult;
  };
  const one = await child(1);
  const two = await child(THREADS);
  const proven = JSON.parse(fs.readFileSync(out, "utf8")) as {
    statement: { context: Hex; idIn: Hex; idOut: Hex; idData: Hex };
    proof: string;
  };
  const { context, idIn, idOut, idData } = proven.statement;
  const args = [context, idIn, idOut, idData, toHex(Buffer.from(proven.proof, "hex"))] as const;
  const data = encodeFunctionData({ abi, functionName: "verify", args });
  if (!(await reader.readContract({ address: verifier, abi, functionName: "verify", args })))
    throw new Error("the contract does not accept the proof");
  const receipt = await reader.waitForTransactionReceipt({
    hash: await writer.sendTransaction({ to: verifier, data }),
  });
  if (receipt.status !== "success") throw new Error("the transaction failed");
  const gas = Number(receipt.gasUsed);
  return {
    model: sizes.join("-"),
    params: two.params,
    batch,
    threads: THREADS,
    zk,
    statement,
    proveSeconds: two.proveSeconds,
    proveSecondsOneThread: one.proveSeconds,
    verifyMs: two.verifyMs,
    peakRssMiB: two.peakRssMiB,
    proofBytes: proven.proof.length / 2,
    gas,
    gasExecution: gas - intrinsicGas(data),
    contractBytes: (runtime.length - 2) / 2,
    deployGas: Number(deployed.gasUsed),
  };
}

export async function run(): Promise<ProofBenchmark[]> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-bench-"));
  const anvil = await startAnvil({ dataDir: path.join(folder, "chain"), blockTimeSeconds: 0 });
  try {
    const srs = await createDevelopmentString({ blockBits: 16 });
    const srsFile = path.join(folder, "development.srs");
    fs.writeFileSync(srsFile, encodeReferenceString(srs));
    const results: ProofBenchmark[] = [];
    for (const one of cases)
      for (const zk of [true, false]) {
        const mode = zk ? "zero-knowledge" : "plain";
        process.stderr.write(`  ${one.sizes.join("-")}, batch ${one.batch}, ${one.statement}, ${mode}\n`);
        results.push(await measureCase(anvil.rpcUrl, folder, srsFile, srs, one, zk));
      }
    return results;
  } finally {
    await anvil.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
