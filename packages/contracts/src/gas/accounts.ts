// Gas of money, workers and verifiers.
import type { Hex } from "@skynet/protocol";
import { encodeFunctionData, toHex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import * as Deployer from "../../generated/Deployer.ts";
import { ledgerAbi, tokenAbi, workerRegistryAbi } from "../chain/abi.ts";
import { connect } from "../chain/connection.ts";
import { createSignedForms } from "../chain/signed-forms.ts";
import { createSender } from "../chain/transactions.ts";
import type { Chain } from "../chain/types.ts";
import { children } from "../deployment/addresses.ts";
import { testKey } from "../test-chain.ts";
import type { TestChain } from "../test-chain.ts";
import { verifierDescription } from "../test-proof-job.ts";
import type { GasMeter } from "./meter.ts";

/** Parties 0 and 1 are not registered yet. */
export async function measureAccounts(chain: TestChain, meter: GasMeter): Promise<void> {
  const [first, second] = chain.parties as [Chain, Chain];
  const { send } = await sender(chain);
  const { ledger, testToken, workerRegistry } = first.addresses;
  await first.mint(10n ** 9n);
  const account = (functionName: string, args: readonly unknown[]) =>
    send({ address: ledger, abi: ledgerAbi, functionName, args });
  const registry = (functionName: string, args: readonly unknown[]) =>
    send({ address: workerRegistry, abi: workerRegistryAbi, functionName, args });

  await meter.take("Ledger.depositWithPermit", "first deposit", first.deposit(testToken, 100_000n));
  await send({ address: testToken, abi: tokenAbi, functionName: "approve", args: [ledger, 10n ** 9n] });
  await meter.take("Ledger.deposit", "approved before", account("deposit", [testToken, first.address, 100_000n]));
  await meter.take("Ledger.withdraw", "part of the balance", first.withdraw(testToken, 10n));
  await account("deposit", [testToken, second.address, 500n]);
  await meter.take("Ledger.withdrawFor", "everything of another account", first.withdrawFor(testToken, second.address));

  const capabilities = new Uint8Array(1024).fill(7);
  await meter.take("WorkerRegistry.register", "1 KiB of capabilities", first.register({ capabilities }));
  await meter.take("WorkerRegistry.registerFor", "no capabilities", registerSomebody(first, registry));
  await meter.take("WorkerRegistry.setCapabilities", "1 KiB", registry("setCapabilities", [toHex(capabilities)]));
  await meter.take("WorkerRegistry.addStake", "first stake", first.addStake(testToken, 1_000n));
  await meter.take("WorkerRegistry.beginUnstake", "first time", first.beginUnstake(testToken, 500n));
  await meter.take("WorkerRegistry.finishUnstake", "one call", first.finishUnstake(testToken));
  await meter.take("WorkerRegistry.bumpEpoch", "one call", first.bumpEpoch());
  await measureSigned(chain, meter);
  await meter.take("WorkerRegistry.setPayout", "one call", first.setPayout(first.address, second.address));

  await measureVerifiers(first, meter);
  await measureDeployment(chain, meter);
}

async function sender(chain: TestChain) {
  const connection = await connect(chain.anvil.rpcUrl, testKey(0));
  return { connection, send: createSender(connection) };
}

/** What party 0 signs and party 1 sends. */
async function measureSigned(chain: TestChain, meter: GasMeter): Promise<void> {
  const [first] = chain.parties as [Chain];
  const { address, addresses, chainId } = first;
  const connection = await connect(chain.anvil.rpcUrl, testKey(0));
  const signedForm = createSignedForms({ connection, addresses, chainId, address, firstBlock: 0n }, first);
  const send = createSender(await connect(chain.anvil.rpcUrl, testKey(1)));
  const take = async (situation: string, contract: "Ledger" | "WorkerRegistry", name: string, args: unknown[]) => {
    const [at, abi] =
      contract === "Ledger" ? [addresses.ledger, ledgerAbi] : [addresses.workerRegistry, workerRegistryAbi];
    const call = await signedForm({ address: at, abi, functionName: name, args });
    if (call === undefined) throw new Error(`${name} has no signed form`);
    meter.note(`${contract}.${call.functionName}`, situation, await send(call));
  };
  const token = addresses.testToken;
  await take("approved before", "Ledger", "deposit", [token, address, 1_000n]);
  await take("1 KiB", "WorkerRegistry", "setCapabilities", [toHex(new Uint8Array(1024).fill(8))]);
  await take("one call", "WorkerRegistry", "addStake", [token, address, 100n]);
  await take("one call", "WorkerRegistry", "beginUnstake", [token, address, 100n]);
  await take("one call", "WorkerRegistry", "bumpEpoch", [address]);
  await take("one call", "WorkerRegistry", "setPayout", [address, address]);
}

/** A worker without money registers through somebody else. */
async function registerSomebody(
  { address, chainId, addresses }: Chain,
  registry: (functionName: string, args: readonly unknown[]) => ReturnType<Chain["mint"]>,
) {
  const worker = privateKeyToAccount(generatePrivateKey());
  const signature = await worker.signTypedData({
    domain: { name: "SkyNet", version: "1", chainId, verifyingContract: addresses.workerRegistry },
    types: {
      Register: [
        { name: "worker", type: "address" },
        { name: "payout", type: "address" },
        { name: "capsHash", type: "bytes32" },
      ],
    },
    primaryType: "Register",
    // keccak256 of nothing
    message: {
      worker: worker.address,
      payout: address,
      capsHash: "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    },
  });
  return registry("registerFor", [`0x${worker.publicKey.slice(4)}`, address, "0x", signature]);
}

/** Initcode of a verifier of `size` bytes that says yes. */
export function yesVerifier(size: number): Hex {
  const code = "600160005260206000f3".padEnd(2 * size, "0");
  return `0x61${size.toString(16).padStart(4, "0")}80600c6000396000f3${code}`;
}

async function measureVerifiers(first: Chain, meter: GasMeter): Promise<void> {
  const largest = await first.deployVerifier(verifierDescription, yesVerifier(24_576));
  meter.note("VerifierRegistry.deploy", "a verifier of 24,576 bytes", largest.receipt!);
  const other = { ...verifierDescription, weightBlocks: 9 };
  const { receipt } = await first.registerVerifier(other, largest.at, { source: "bafy".padEnd(59, "a") });
  meter.note("VerifierRegistry.register", "the same under another description", receipt);
}

/** What the deployment of the largest contract costs: read from the transactions that deployed it here. */
async function measureDeployment(chain: TestChain, meter: GasMeter): Promise<void> {
  const { connection } = await sender(chain);
  const { publicClient } = connection;
  const largest = children.toSorted((a, b) => b.bytecode.length - a.bytecode.length)[0]!;
  const data = encodeFunctionData({ abi: Deployer.abi, functionName: "deploy", args: [largest.bytecode] });
  const last = await publicClient.getBlockNumber();
  for (let number = 0n; number <= last; number++) {
    const block = await publicClient.getBlock({ blockNumber: number, includeTransactions: true });
    const found = block.transactions.find(({ input }) => input === data);
    if (found === undefined) continue;
    meter.note(
      "Deployer.deploy",
      `the largest contract (${largest.name})`,
      await publicClient.getTransactionReceipt(found),
    );
    return;
  }
  throw new Error("the deployment was not found");
}
