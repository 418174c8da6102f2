import type { Hex } from "@skynet/protocol";

/** What the compiler made of a generated verifier. */
export interface CompiledVerifier {
  /** Code that creates the contract, and the code that is then on chain. */
  readonly initcode: Hex;
  readonly runtime: Hex;
}

const OPTIMIZER = {
  peephole: true,
  inliner: true,
  jumpdestRemover: true,
  orderLiterals: true,
  deduplicate: true,
  cse: true,
  constantOptimizer: true,
  yul: false,
};

interface SolcOutput {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly contracts?: {
    readonly "ProofVerifier.sol": {
      readonly ProofVerifier: {
        readonly evm: {
          readonly bytecode: { readonly object: string };
          readonly deployedBytecode: { readonly object: string };
        };
      };
    };
  };
}

/** What the compiler is given: a generated verifier, which names the version of the compiler, and its settings. */
export function compilerInput(source: string): string {
  return JSON.stringify({
    language: "Solidity",
    sources: { "ProofVerifier.sol": { content: source } },
    settings: {
      evmVersion: "cancun",
      // The optimizer of Yul keeps more values on the stack than the EVM can reach; the generator orders them itself.
      optimizer: { enabled: true, runs: 200, details: OPTIMIZER },
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  });
}

/**
 * Compiles a generated verifier with the pinned npm package of solc. The code carries no metadata, so the same source
 * gives the same bytes on every machine. Takes a second or two and blocks its thread.
 */
export async function compileVerifier(source: string): Promise<CompiledVerifier> {
  const { default: solc } = (await import("solc")) as unknown as { default: { compile(input: string): string } };
  const output = JSON.parse(solc.compile(compilerInput(source))) as SolcOutput;
  const failure = output.errors?.find(({ severity }) => severity === "error");
  if (failure !== undefined) throw new Error(`the generated verifier does not compile: ${failure.formattedMessage}`);
  const { bytecode, deployedBytecode } = output.contracts!["ProofVerifier.sol"].ProofVerifier.evm;
  return { initcode: `0x${bytecode.object}`, runtime: `0x${deployedBytecode.object}` };
}
