import { concatBytes, type Hex, fromHex, keccak256, toHex, word } from "@skynet/protocol";
import { CHECKS } from "../script/rejection.ts";
import type { StatementHeader } from "../script/statement.ts";

const selector = keccak256(new TextEncoder().encode("verify(bytes32,bytes32,bytes32,bytes32,bytes)")).subarray(0, 4);

/** A failing precompiled contract takes 63 of 64 parts of the gas with it; two calls in a row must leave enough. */
const GAS = "0x2540be40000";

/** Calldata of `verify`. */
export function calldata({ context, idIn, idOut, idData }: StatementHeader, proof: Uint8Array): Uint8Array {
  const padding = new Uint8Array((32 - (proof.length % 32)) % 32);
  const ids = [context, idIn, idOut, idData].map(fromHex);
  return concatBytes(selector, ...ids, word(160), word(proof.length), proof, padding);
}

/** Calls verifier contracts on a development chain. */
export class VerifierChain {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async #request(method: string, params: readonly unknown[]): Promise<{ result?: string; error?: RpcError }> {
    const response = await fetch(this.#url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    return (await response.json()) as { result?: string; error?: RpcError };
  }

  /** Puts the code of a contract at an address. */
  async install(address: Hex, runtime: Hex): Promise<void> {
    const { error } = await this.#request("anvil_setCode", [address, runtime]);
    if (error) throw new Error(error.message);
  }

  /** `accepted`, the name of the check that failed, or how the call failed otherwise. */
  verdict(address: Hex, header: StatementHeader, proof: Uint8Array): Promise<string> {
    return this.call(address, calldata(header, proof));
  }

  /** The same for any calldata. */
  async call(address: Hex, calldata: Uint8Array): Promise<string> {
    const call = { to: address, data: toHex(calldata), gas: GAS };
    const { result, error } = await this.#request("eth_call", [call, "latest"]);
    if (result !== undefined) return BigInt(result) === 1n ? "accepted" : `returned ${result}`;
    const data = typeof error?.data === "string" ? error.data : "";
    const match = /^0x94064f91([0-9a-f]{64})$/.exec(data);
    return match ? CHECKS[Number(BigInt(`0x${match[1]}`)) - 1]! : `failed: ${error?.message} ${data}`;
  }
}

interface RpcError {
  readonly message: string;
  readonly data?: unknown;
}
