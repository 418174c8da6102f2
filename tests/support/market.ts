import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { createChain, type Chain } from "@skynet/contracts";
import { ModelBuilder } from "@skynet/onnx";
import { createKeystore, fundAccount, startChild, type SkyNetChild } from "@skynet/node";
import { toHex, type Hex } from "@skynet/protocol";
import { encodeIdx } from "@skynet/storage";
import { eventsOf, skynet, type CliResult } from "./cli.ts";
import { startTestNetwork, type TestNetwork } from "./network.ts";

export interface Account {
  readonly name: string;
  readonly address: Hex;
  readonly chain: Chain;
  readonly privateKey: Uint8Array;
  /** Folder for everything of this account. */
  readonly home: string;
  /** Runs a command as this account; its result is the last JSON event. */
  run(...args: string[]): Promise<CliResult & { readonly result: Record<string, unknown> }>;
  /** Starts a command that stays. */
  start(...args: string[]): SkyNetChild;
  /** Ledger and wallet together. */
  money(): Promise<bigint>;
}

export interface TestMarket extends TestNetwork {
  account(name: string, options?: { funded?: boolean }): Promise<Account>;
  /** Stops new blocks, makes one, or lets one come every second again. */
  mine(mode: "off" | "once" | "on"): Promise<void>;
  /** Transactions of an account that are in no block yet. */
  pending(address: Hex): Promise<number>;
}

/** Verifiers that this machine has compiled: the same for every account, and for other tests, whose home is the default. */
const COMPILED = path.join(import.meta.dirname, "..", "..", ".skynet", "compiled");

/** A chain, a relay and accounts with test money, all real. */
export async function startTestMarket(): Promise<TestMarket> {
  const network = await startTestNetwork(0);
  const children: SkyNetChild[] = [];
  let funding: Promise<void> = Promise.resolve();
  return {
    ...network,
    account: async (name, { funded = true } = {}) => {
      const home = path.join(network.folder, name);
      await fs.mkdir(home, { recursive: true });
      await fs.mkdir(COMPILED, { recursive: true });
      await fs.symlink(COMPILED, path.join(home, "compiled"));
      const privateKey = new Uint8Array(randomBytes(32));
      const keystore = path.join(home, "wallet.json");
      const passphraseFile = path.join(home, "passphrase");
      await fs.writeFile(passphraseFile, "market test\n", { mode: 0o600 });
      const address = await createKeystore(keystore, privateKey, "market test", 1024);
      // one after the other: all money comes from one account, whose nonces would collide
      if (funded) await (funding = funding.then(() => fundAccount(network.rpcUrl, address)));
      const chain = await createChain({ rpcUrl: network.rpcUrl, privateKey: toHex(privateKey) });
      const env = { SKYNET_RPC: network.rpcUrl, SKYNET_RELAY: network.relay, SKYNET_HOME: home, NO_COLOR: "1" };
      const wallet = ["--keystore", keystore, "--passphrase-file", passphraseFile];
      return {
        name,
        address,
        chain,
        privateKey,
        home,
        run: async (...args) => {
          const reads = args[1] === "list" || args[1] === "show";
          const done = await skynet([...args, ...(reads ? [] : wallet), "--json"], { env });
          const result = eventsOf(done.stdout).findLast(({ event }) => event === "result" || event === "error") ?? {};
          return { ...done, result };
        },
        start: (...args) => {
          const child = startChild(args[0] === "index" ? args : [...args, ...wallet], {
            env: { ...process.env, ...env },
          });
          children.push(child);
          return child;
        },
        money: async () => {
          const { wallet: own, ledger } = await chain.balances(chain.addresses.testToken);
          return own + ledger;
        },
      };
    },
    mine: async (mode) => {
      if (mode === "once") await network.rpc("evm_mine", []);
      else await network.rpc("evm_setIntervalMining", [mode === "on" ? 1 : 0]);
    },
    pending: async (address) => {
      const count = async (block: string) => Number(await network.rpc("eth_getTransactionCount", [address, block]));
      return (await count("pending")) - (await count("latest"));
    },
    close: async () => {
      await Promise.all(children.map((child) => child.stop()));
      await network.close();
    },
  };
}

/** Two IDX files of `count` images of 4 x 4 bytes in three classes; returns their paths and bytes. */
export async function writeImages(folder: string, count: number) {
  await fs.mkdir(folder, { recursive: true });
  const images = encodeIdx({
    shape: [count, 4, 4],
    data: Uint8Array.from({ length: 16 * count }, (_, i) => (i * 37 + (i >> 4)) % 256),
  });
  const labels = encodeIdx({ shape: [count], data: Uint8Array.from({ length: count }, (_, i) => i % 3) });
  const files = {
    images: path.join(folder, "pictures-idx3-ubyte.gz"),
    labels: path.join(folder, "classes-idx1-ubyte"),
  };
  await fs.writeFile(files.images, gzipSync(images));
  await fs.writeFile(files.labels, labels);
  return files;
}

/** An untrained perceptron 6-5-3; weights of a large `scale` make it overflow. */
export function tinyModel(seed = 1, scale = 1): Uint8Array {
  const model = new ModelBuilder({ name: "tiny" });
  const x = model.input("x", "float32", ["batch", 6]);
  const values = (count: number) =>
    Float32Array.from({ length: count }, (_, i) => scale * Math.sin((i + seed) * 12.9898));
  const w1 = model.constant("w1", "float32", [6, 5], values(30));
  const hidden = model.node("Relu", [model.node("Gemm", [x, w1, model.constant("b1", "float32", [5], values(5))])]);
  const w2 = model.constant("w2", "float32", [5, 3], values(15));
  model.output(model.node("Gemm", [hidden, w2, model.constant("b2", "float32", [3], values(3))]), "z", "float32", [
    "batch",
    3,
  ]);
  return model.encode();
}
