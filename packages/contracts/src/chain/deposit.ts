import type { Hex } from "@skynet/protocol";
import { parseSignature } from "viem";
import { InsufficientBalance } from "../errors.ts";
import { ledgerAbi, tokenAbi } from "./abi.ts";
import type { ReadContext } from "./reads.ts";
import type { Call } from "./transactions.ts";

const PERMIT_SECONDS = 3_600n;

const permitTypes = {
  Permit: [
    { name: "owner", type: "address" },
    { name: "spender", type: "address" },
    { name: "value", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
} as const;

/** A signed EIP-2612 permit for the Ledger; undefined when the token has no permits. */
async function signPermit({ connection, addresses, chainId, address }: ReadContext, token: Hex, value: bigint) {
  const { publicClient, account } = connection;
  try {
    const contract = { address: token, abi: tokenAbi } as const;
    const [nonce, [, name, version], block] = await Promise.all([
      publicClient.readContract({ ...contract, functionName: "nonces", args: [address] }),
      publicClient.readContract({ ...contract, functionName: "eip712Domain" }),
      publicClient.getBlock(),
    ]);
    const deadline = block.timestamp + PERMIT_SECONDS;
    const signature = await account.signTypedData({
      domain: { name, version, chainId, verifyingContract: token },
      types: permitTypes,
      primaryType: "Permit",
      message: { owner: address, spender: addresses.ledger, value, nonce, deadline },
    });
    const { r, s, yParity } = parseSignature(signature);
    return { deadline, v: 27 + yParity, r, s };
  } catch {
    return undefined;
  }
}

/**
 * Calls that bring `amount` from the wallet into the Ledger: one with a permit, or an approval and a deposit.
 * @throws InsufficientBalance when the wallet holds less
 */
export async function depositCalls(context: ReadContext, token: Hex, amount: bigint, to: Hex): Promise<Call[]> {
  const { connection, addresses, address } = context;
  const contract = { address: token, abi: tokenAbi } as const;
  const [wallet, allowance] = await connection.reach(() =>
    Promise.all([
      connection.publicClient.readContract({ ...contract, functionName: "balanceOf", args: [address] }),
      connection.publicClient.readContract({
        ...contract,
        functionName: "allowance",
        args: [address, addresses.ledger],
      }),
    ]),
  );
  if (wallet < amount) throw new InsufficientBalance(wallet, amount);
  const ledger = { address: addresses.ledger, abi: ledgerAbi };
  const deposit: Call = { ...ledger, functionName: "deposit", args: [token, to, amount] };
  if (allowance >= amount) return [deposit];
  const permit = await connection.reach(() => signPermit(context, token, amount));
  if (permit !== undefined) {
    const { deadline, v, r, s } = permit;
    return [{ ...ledger, functionName: "depositWithPermit", args: [token, to, amount, deadline, v, r, s] }];
  }
  return [{ ...contract, functionName: "approve", args: [addresses.ledger, amount] }, deposit];
}
