import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { ChainError, createChain, DEVELOPMENT_CHAIN_ID, startAnvil, type Anvil, type Chain } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { createPublicClient, http, numberToHex, parseEther } from "viem";
import type { Ui } from "../cli/ui.ts";
import { startChild, type SkyNetChild } from "../runtime/children.ts";
import { readFileIfThere, writeFileAtomic } from "../runtime/files.ts";
import { lockFolder } from "../runtime/lock.ts";
import { createKeystore, keystoreAddress, openKeystore } from "../wallet/keystore.ts";

export interface DevnetOptions {
  readonly dataDir: string;
  readonly workers: number;
  /** Whether an index runs as well, default false. */
  readonly index?: boolean | undefined;
  readonly port?: number | undefined;
  /** Seconds between writes of the chain's state, default 1; it is written at the end as well. */
  readonly stateIntervalSeconds?: number | undefined;
  readonly ui: Ui;
  readonly signal: AbortSignal;
}

export interface Devnet {
  readonly rpcUrl: string;
  readonly relay: string;
  /** Where the relay serves its metrics. */
  readonly metrics: string;
  /** Address of the index, if one runs. */
  readonly index: string | undefined;
  readonly requester: { readonly keystore: string; readonly passphraseFile: string };
  readonly workers: readonly SkyNetChild[];
  requesterKey(): Promise<Uint8Array>;
  /** Starts the worker of this number (from 0) again, in its folder and with its wallet. */
  startWorker(index: number): SkyNetChild;
  stop(): Promise<void>;
}

/** First account of anvil's public test mnemonic: it has the development chain's money and no secret. */
const FAUCET_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/** The passphrases here are random, so that nothing is won by guessing slowly; processes start half a second sooner. */
const RANDOM_PASSPHRASE_N = 1024;
const ETH_EACH = parseEther("10");
const TOKENS_EACH = 10_000n * 10n ** 6n;

/**
 * Starts a network on this machine: anvil with the contracts and a test token, one relay process and worker processes,
 * each with its own wallet, which are given test money. An existing data folder is continued.
 */
export async function startDevnet(options: DevnetOptions): Promise<Devnet> {
  const { ui, signal } = options;
  const dataDir = path.resolve(options.dataDir);
  const unlock = lockFolder(dataDir);
  const children: SkyNetChild[] = [];
  let anvil: Anvil | undefined;
  const steps = 4;
  const progress = (done: number) => {
    signal.throwIfAborted();
    ui.progress("Starting the local network", done, steps);
  };
  const stop = async () => {
    await Promise.all(children.map((child) => child.stop()));
    await anvil?.stop();
    await fs.rm(path.join(dataDir, "devnet.json"), { force: true });
    unlock();
  };
  try {
    progress(0);
    const names = ["requester", "relay", ...Array.from({ length: options.workers }, (_, i) => `worker-${i + 1}`)];
    const [started, wallets] = await Promise.all([
      startAnvil({
        dataDir: path.join(dataDir, "chain"),
        mixedMining: true,
        stateIntervalSeconds: options.stateIntervalSeconds ?? 1,
        ...(options.port === undefined ? {} : { port: options.port }),
      }),
      Promise.all(names.map((name) => openWallet(path.join(dataDir, "wallets"), name))),
    ]);
    anvil = started;
    progress(1);
    const rpcUrl = anvil.rpcUrl;
    await deployAndFund(
      anvil,
      wallets.map(({ address }) => address),
    );
    progress(2);
    const wallet = (name: string) => wallets[names.indexOf(name)]!;
    // On the chain's list, so that a worker needs nothing but --rpc.
    const listed = ["--rpc", rpcUrl, "--register", "--metrics", "127.0.0.1:0"];
    const relayArgs = ["--data", path.join(dataDir, "relay"), ...listed];
    const relayChild = startNode(children, "relay", wallet("relay"), relayArgs);
    const { multiaddrs, metrics } = await relayChild.event("listening");
    const relay = (multiaddrs as string[])[0]!;
    progress(3);
    // The workers share the cores of this machine.
    const threads = String(Math.max(1, Math.floor(availableParallelism() / Math.max(options.workers, 1))));
    const startWorker = (index: number) => {
      const name = names[2 + index]!;
      const args = ["--data", path.join(dataDir, name), "--rpc", rpcUrl, "--relay", relay, "--threads", threads];
      return startNode(children, "worker", wallet(name), args);
    };
    const workers = names.slice(2).map((_, index) => startWorker(index));
    await Promise.all(workers.map((worker) => worker.event("ready")));
    const index = options.index ? await startIndex(children, rpcUrl, path.join(dataDir, "index")) : undefined;
    progress(steps);
    const requester = { keystore: wallet("requester").keystore, passphraseFile: wallet("requester").passphraseFile };
    const info = { pid: process.pid, rpcUrl, relay, index, requester };
    await writeFileAtomic(path.join(dataDir, "devnet.json"), `${JSON.stringify(info, null, 2)}\n`);
    return {
      rpcUrl,
      relay,
      metrics: String(metrics),
      index,
      requester,
      workers,
      requesterKey: () => openWith(requester),
      startWorker,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Wallet {
  readonly keystore: string;
  readonly passphraseFile: string;
  readonly address: Hex;
}

async function openWallet(folder: string, name: string): Promise<Wallet> {
  const keystore = path.join(folder, `${name}.json`);
  const passphraseFile = path.join(folder, `${name}.passphrase`);
  if ((await readFileIfThere(keystore)) === undefined) {
    const passphrase = randomBytes(16).toString("hex");
    await writeFileAtomic(passphraseFile, `${passphrase}\n`, 0o600);
    await createKeystore(keystore, randomBytes(32), passphrase, RANDOM_PASSPHRASE_N);
  }
  return { keystore, passphraseFile, address: await keystoreAddress(keystore) };
}

async function openWith({
  keystore,
  passphraseFile,
}: {
  keystore: string;
  passphraseFile: string;
}): Promise<Uint8Array> {
  const passphrase = new TextDecoder().decode(await fs.readFile(passphraseFile)).trim();
  return openKeystore(keystore, passphrase);
}

function startNode(children: SkyNetChild[], role: string, wallet: Wallet, args: readonly string[]): SkyNetChild {
  const child = startChild([role, "--keystore", wallet.keystore, "--passphrase-file", wallet.passphraseFile, ...args]);
  children.push(child);
  return child;
}

async function startIndex(children: SkyNetChild[], rpcUrl: string, dataDir: string): Promise<string> {
  const child = startChild(["index", "--rpc", rpcUrl, "--data", dataDir, "--port", "0"]);
  children.push(child);
  return String((await child.event("listening")).url);
}

async function rpc(url: string, method: string, params: readonly unknown[]): Promise<void> {
  const client = createPublicClient({ transport: http(url) });
  await client.request({ method, params } as never);
}

/** Deploys what is missing, and gives every wallet ether for gas and test tokens. */
async function deployAndFund(anvil: Anvil, addresses: readonly Hex[]): Promise<void> {
  const faucet = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: FAUCET_KEY });
  await faucet.deploy();
  await Promise.all(addresses.map((address) => fundFrom(faucet, address)));
}

/**
 * Gives an account of a development chain ether for gas and test tokens, unless it has them.
 * @throws ChainError `OnlyDevelopmentChain`
 */
export async function fundAccount(rpcUrl: string, address: Hex): Promise<void> {
  const faucet = await createChain({ rpcUrl, privateKey: FAUCET_KEY });
  if (faucet.chainId !== DEVELOPMENT_CHAIN_ID) throw new ChainError("OnlyDevelopmentChain");
  await faucet.assertDeployed();
  await fundFrom(faucet, address);
}

async function fundFrom(faucet: Chain, address: Hex): Promise<void> {
  if ((await faucet.gasBalance(address)) < ETH_EACH / 2n)
    await rpc(faucet.rpcUrl, "anvil_setBalance", [address, numberToHex(ETH_EACH)]);
  const { wallet, ledger, freeStake, lockedStake } = await faucet.balances(faucet.addresses.testToken, address);
  if (wallet + ledger + freeStake + lockedStake < TOKENS_EACH / 2n) await faucet.mint(TOKENS_EACH, address);
}
