// A development chain on a machine of a network lab. Arguments: its address, then the accounts that get test money.
// Says its RPC address over the IPC channel when everything is in place. Makes a block for each transaction and each second.
import process from "node:process";
import { createChain, startAnvil } from "@skynet/contracts";
import { fundAccount } from "@skynet/node";
import type { Hex } from "@skynet/protocol";

/** First account of anvil's public test mnemonic. */
const FAUCET_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const [address, ...accounts] = process.argv.slice(2) as [string, ...Hex[]];
const anvil = await startAnvil({ mixedMining: true, extraArguments: ["--host", address] });
const chain = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: FAUCET_KEY });
await chain.deploy();
for (const account of accounts) await fundAccount(anvil.rpcUrl, account);
process.once("disconnect", () => void anvil.stop());
process.send!({ rpcUrl: `http://${address}:${anvil.port}` });
