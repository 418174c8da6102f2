// Nothing that runs on chain may need what Scroll lacks: unknown instructions revert there, and missing precompiled
// contracts succeed with an empty answer.
import { compileTraining, compileVerifier, createDevelopmentString, createProofSystem } from "@skynet/proof";
import { type Circuit, generateVerifier, inferenceCircuit, stepCircuit } from "@skynet/proof";
import { parseModel } from "@skynet/onnx";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skynetAddresses } from "@skynet/contracts";
import { connect } from "../packages/contracts/src/chain/connection.ts";
import { children, developmentRoots, roots } from "../packages/contracts/src/deployment/addresses.ts";
import { startTestChain, testKey, type TestChain } from "../packages/contracts/src/test-chain.ts";
import { calledPrecompiles, lackingOnScroll } from "./support/opcodes.ts";
import { tinyCircuit, tinyModel } from "./support/tiny-job.ts";

let chain: TestChain;
beforeAll(async () => {
  chain = await startTestChain(1);
});
afterAll(() => chain.stop());

const creations = [...roots, ...children, ...developmentRoots];

describe("code on Scroll", () => {
  it.each([
    ["PREVRANDAO", "0x4450", "PREVRANDAO"],
    ["BLOBHASH", "0x5f4950", "BLOBHASH"],
    ["BLOBBASEFEE", "0x4a50", "BLOBBASEFEE"],
    ["SELFDESTRUCT", "0x5fff", "SELFDESTRUCT"],
    ["CALLCODE", "0xf2", "CALLCODE"],
    ["an instruction after Cancun", "0x5f1e", "0x1e at 1"],
    ["the KZG precompile", "0x5f5f5f5f600a5afa", "precompiled contract 10"],
    ["a BLS precompile", "0x5f5f5f5f600b61fffffa", "precompiled contract 11"],
    ["the P256 precompile", "0x5f5f5f5f6101005afa", "precompiled contract 256"],
    ["RIPEMD160", "0x5f5f5f5f60035afa", "precompiled contract 3"],
    ["BLAKE2F", "0x5f5f5f5f60095afa", "precompiled contract 9"],
  ] as const)("would not have %s", (_name, code, found) => {
    expect(lackingOnScroll(code).join()).toContain(found);
  });

  it("may hold such bytes as constants, and call the curve", () => {
    expect(lackingOnScroll("0x6044600a7fff49ff49ff49ff49ff49ff49ff49ff49ff49ff49ff49ff49ff49ff49ff49ff4900")).toEqual(
      [],
    );
    expect(calledPrecompiles("0x5f5f5f5f60065afa5f5f5f5f60075afa")).toEqual([6n, 7n]);
  });

  it.each(creations.map(({ name, bytecode }) => [name, bytecode] as const))(
    "is enough for %s and its creation",
    async (name, bytecode) => {
      const { publicClient } = await connect(chain.anvil.rpcUrl, testKey(0));
      const runtime = await publicClient.getCode({ address: skynetAddresses()[name] });
      expect(runtime!.length).toBeGreaterThan(100);
      expect(lackingOnScroll(runtime!)).toEqual([]);
      expect(lackingOnScroll(bytecode)).toEqual([]);
      const curve = { catalog: [6n, 7n], jobMerge: [6n, 7n] };
      for (const address of calledPrecompiles(runtime!)) expect([1n, 4n, 6n, 7n]).toContain(address);
      if (name in curve)
        expect(calledPrecompiles(runtime!)).toEqual(expect.arrayContaining(curve[name as keyof typeof curve]));
    },
  );

  const program = compileTraining(parseModel(tinyModel()), { batchSize: 16, learningRate: 0.5, workers: 4 });
  const circuits: Record<string, Circuit> = {
    "a training step": stepCircuit(program, tinyCircuit),
    "a training step without zero knowledge": stepCircuit(program, { ...tinyCircuit, hiding: false }),
    "an answer": inferenceCircuit(program, 1, { ...tinyCircuit, input: "public", output: "public" }),
    "an answer behind commitments": inferenceCircuit(program, 1, {
      ...tinyCircuit,
      input: "committed",
      output: "committed",
    }),
  };
  it.each(Object.entries(circuits))("is enough for the verifier of %s", async (_name, circuit) => {
    const system = await createProofSystem(
      circuit,
      await createDevelopmentString({ blockBits: tinyCircuit.blockBits }),
    );
    const { initcode, runtime } = await compileVerifier((await generateVerifier(system.key)).source);
    await system.close();
    expect(lackingOnScroll(runtime)).toEqual([]);
    expect(lackingOnScroll(initcode)).toEqual([]);
    expect(calledPrecompiles(runtime)).toEqual([6n, 7n, 8n]);
    expect(runtime.length / 2 - 1).toBeLessThanOrEqual(24_576);
  });
});
