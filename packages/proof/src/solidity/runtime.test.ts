import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { fromHex } from "@skynet/protocol";
import { expect, test } from "vitest";
import { startAnvil } from "../../../contracts/src/anvil.ts";
import { VerifierChain } from "../attacks/evm.ts";
import { codeOf, verdict } from "../attacks/run.ts";
import { HEADER, inferenceSubject, stepSubject } from "../attacks/subject.ts";
import { compileVerifier } from "./compile.ts";
import { generateVerifier } from "./generate.ts";

/** What a verifier may do: arithmetic, hashing, memory, calldata, jumps, its own address, the chain's number. */
const ALLOWED = new Map<number, string>([
  ...["STOP", "ADD", "MUL", "SUB", "DIV", "SDIV", "MOD", "SMOD", "ADDMOD", "MULMOD", "EXP", "SIGNEXTEND"].entries(),
  ...["LT", "GT", "SLT", "SGT", "EQ", "ISZERO", "AND", "OR", "XOR", "NOT", "BYTE", "SHL", "SHR", "SAR"]
    .entries()
    .map(([i, name]): [number, string] => [0x10 + i, name]),
  [0x20, "KECCAK256"],
  [0x30, "ADDRESS"],
  [0x34, "CALLVALUE"],
  [0x35, "CALLDATALOAD"],
  [0x36, "CALLDATASIZE"],
  [0x37, "CALLDATACOPY"],
  [0x39, "CODECOPY"],
  [0x3d, "RETURNDATASIZE"],
  [0x46, "CHAINID"],
  ...["POP", "MLOAD", "MSTORE", "MSTORE8"].entries().map(([i, name]): [number, string] => [0x50 + i, name]),
  ...["JUMP", "JUMPI", "PC", "MSIZE", "GAS", "JUMPDEST"]
    .entries()
    .map(([i, name]): [number, string] => [0x56 + i, name]),
  [0x5e, "MCOPY"],
  [0x5f, "PUSH0"],
  [0xf3, "RETURN"],
  [0xfa, "STATICCALL"],
  [0xfd, "REVERT"],
  [0xfe, "INVALID"],
]);

/** Instructions of code, without what they push. */
function instructionsOf(code: Uint8Array): number[] {
  const instructions: number[] = [];
  for (let at = 0; at < code.length; at++) {
    const instruction = code[at]!;
    instructions.push(instruction);
    if (instruction >= 0x60 && instruction <= 0x7f) at += instruction - 0x5f;
  }
  return instructions;
}

const isStackOperation = (instruction: number): boolean => instruction >= 0x60 && instruction <= 0x9f;

test.each(["step", "inference"])("the code of a verifier computes and nothing else: %s", async (name) => {
  const subject = name === "step" ? await stepSubject() : await inferenceSubject({ input: "public" });
  await subject.close();
  const { source } = await generateVerifier(subject.key);
  const { runtime } = await compileVerifier(source);
  const instructions = instructionsOf(fromHex(runtime));
  const others = instructions.filter((own) => !ALLOWED.has(own) && !isStackOperation(own));
  expect(others.map((own) => own.toString(16))).toEqual([]);
  expect(instructions.filter((own) => own === 0xfa)).toHaveLength(3);
  const called = [...source.matchAll(/staticcall\(gas\(\), ([^,]+),/g)].map((match) => match[1]);
  expect(called).toEqual(["7", "6", "8"]);
  expect(source).not.toMatch(/\b(immutable|constructor|storage|delegatecall|sload|sstore)\b/);
});

test("on a public chain the contract takes proofs that hide, and refuses whatever hides nothing", async () => {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-public-"));
  const chainId = 534351;
  const anvil = await startAnvil({ dataDir, chainId, blockTimeSeconds: 0 });
  const chain = new VerifierChain(anvil.rpcUrl);
  try {
    for (const hiding of [true, false])
      for (const omitted of [new Set<string>(), new Set(["chain"])]) {
        const subject = await stepSubject({ hiding });
        const proof = await subject.prove({ statement: () => ({ chainId }), omitted });
        await subject.close();
        const expected = hiding || omitted.has("chain") ? "accepted" : "chain";
        expect(await verdict(subject, proof)).toBe(expected);
        await chain.install(HEADER.verifier, await codeOf(subject.key, omitted));
        expect(await chain.verdict(HEADER.verifier, proof.header, proof.proof)).toBe(expected);
      }
  } finally {
    await anvil.stop();
    fs.rmSync(dataDir, { recursive: true });
  }
});

test("two processes make the same code of the same model", async () => {
  const script = `
    const { stepSubject } = await import(${JSON.stringify(path.join(import.meta.dirname, "../attacks/subject.ts"))});
    const { generateVerifier } = await import(${JSON.stringify(path.join(import.meta.dirname, "generate.ts"))});
    const { compileVerifier } = await import(${JSON.stringify(path.join(import.meta.dirname, "compile.ts"))});
    const { key } = await stepSubject();
    const { source } = await generateVerifier(key);
    console.log(JSON.stringify({ source, ...(await compileVerifier(source)) }));
    process.exit(0);`;
  const run = () =>
    promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
      maxBuffer: 2 ** 24,
      timeout: 50_000,
    });
  const [first, second] = await Promise.all([run(), run()]);
  expect(first.stdout).toBe(second.stdout);
  expect(first.stdout).toContain("ProofVerifier");
});
