import fs from "node:fs";
import path from "node:path";
import type { Hex } from "@skynet/protocol";
import type { Abi, AbiParameter } from "viem";
import { BaseError, encodeErrorResult, zeroAddress, zeroHash } from "viem";
import { describe, expect, test } from "vitest";
import { errorsAbi } from "./chain/abi.ts";
import { toChainError } from "./chain/transactions.ts";
import { ChainError, InsufficientBalance } from "./errors.ts";
import { explainedErrors, explainError } from "./explanations.ts";

const folder = path.join(import.meta.dirname, "..");
const sources = fs.readdirSync(path.join(folder, "solidity", "test")).map((file) => path.basename(file, ".sol"));
const contracts = fs.readdirSync(path.join(folder, "generated")).map((file) => path.basename(file, ".ts"));

interface AbiError {
  readonly type: "error";
  readonly name: string;
  readonly inputs: readonly AbiParameter[];
}

const errorsOf = async (contract: string) => {
  const { abi } = (await import(path.join(folder, "generated", `${contract}.ts`))) as { abi: Abi };
  return abi.filter((item): item is AbiError => item.type === "error");
};

const example = (type: string) => {
  if (type === "address") return zeroAddress;
  if (type === "bytes32") return zeroHash;
  return type === "string" ? "text" : type === "uint8" ? 3 : 7n;
};

/** What an RPC's answer to a refused call looks like to the client. */
class Refusal extends BaseError {
  readonly data: Hex;
  constructor(data: Hex) {
    super("execution reverted");
    this.data = data;
  }
}

describe("every error of every contract", () => {
  test.each(contracts.filter((name) => !sources.includes(name)))("of %s is explained", async (contract) => {
    for (const error of await errorsOf(contract)) {
      const known = explainError(error.name);
      expect(known, error.name).toBeDefined();
      expect(known!.message, error.name).toMatch(/^[a-z].*[^.]$/);
      expect(known!.hint.length, error.name).toBeGreaterThan(5);
      const args = error.inputs.map(({ type }) => example(type));
      const data = encodeErrorResult({ abi: [error] as Abi, errorName: error.name, args });
      const thrown = toChainError(new Refusal(data)) as ChainError;
      expect([thrown.code, thrown.hint], error.name).toEqual([error.name, known!.hint]);
      expect(thrown.message, error.name).not.toMatch(/0x[0-9a-f]{8}\b/);
    }
  });

  test("and no others, but for what the client says itself", () => {
    const names = new Set(errorsAbi.map((item) => "name" in item && item.name));
    expect(explainedErrors.filter((name) => !names.has(name)).toSorted()).toEqual([
      "Error",
      "NoGasMoney",
      "Panic",
      "Reverted",
      "UnknownBlock",
      "UnknownJob",
      "UnknownListing",
      "UnknownOffer",
      "UnknownOrder",
      "UnknownTransaction",
      "UnknownVerifier",
    ]);
  });

  test("carries its arguments", () => {
    expect(new ChainError("PriceChanged", [120n]).message).toContain("(120)");
    expect(new ChainError("NeverHeardOf").message).toBe("the chain refused the transaction: NeverHeardOf");
    expect(explainError("toString")).toBeUndefined();
  });

  test("a balance that is too small tells the unit, and names what there is to do", () => {
    const { message, hint } = new InsufficientBalance(5n, 70n);
    expect(message).toBe("the balance is 5 of the token's smallest units, but 70 are needed");
    expect(hint).toMatch(/send tokens to the wallet.*npx skynet wallet balance/);
  });

  test("panics and reasons in words are told apart from failures without a reason", () => {
    const panic = toChainError(new Refusal(`0x4e487b71${"11".padStart(64, "0")}`));
    expect(panic).toMatchObject({ code: "Panic", details: [17n] });
    const reason = encodeErrorResult({
      abi: [{ type: "error", name: "Error", inputs: [{ type: "string" }] }],
      args: ["too poor"],
    });
    expect(toChainError(new Refusal(reason))).toMatchObject({ code: "Error", details: ["too poor"] });
    expect(toChainError(new Refusal("0x12345678"))).toMatchObject({ code: "Reverted" });
  });
});
