import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { spawnSync } from "node:child_process";
import { gunzipSync } from "node:zlib";
import { createChain, startAnvil } from "@skynet/contracts";
import { fundAccount, keystoreAddress } from "@skynet/node";
import { ModelBuilder } from "@skynet/onnx";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMAND, skynet } from "./support/cli.ts";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { writeSmallJob } from "./support/small-job.ts";

/** First account of anvil's public test mnemonic. */
const DEVELOPMENT_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
let network: TestNetwork;
let job = "";
beforeAll(async () => {
  network = await startTestNetwork(0);
  job = await writeSmallJob(path.join(network.folder, "job"));
});
afterAll(() => network.close());

const wallet = () => ["--keystore", network.requester.keystore, "--passphrase-file", network.requester.passphraseFile];
const connection = () => ["--rpc", network.rpcUrl, "--relay", network.relay, ...wallet()];

/** Trains a job file that differs from the good one, and expects a clear error. */
async function expectRefused(
  change: (text: string) => string,
  message: RegExp,
  data = path.join(network.folder, "data"),
) {
  const file = path.join(path.dirname(job), `job-${Math.random().toString(36).slice(2)}.yaml`);
  await fs.writeFile(file, change(await fs.readFile(job, "utf8")));
  const { code, stderr } = await skynet(["train", file, ...connection(), "--data", data]);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(code).toBe(1);
}

async function expectNothingPosted(): Promise<void> {
  const list = await skynet(["job", "list", "--rpc", network.rpcUrl]);
  expect(list.stdout).toMatch(/no such jobs on this chain/);
}

const write = (name: string, bytes: Uint8Array | string) => fs.writeFile(path.join(path.dirname(job), name), bytes);

describe("input that cannot be used is refused before anything is escrowed", () => {
  afterAll(expectNothingPosted);

  it("a broken ONNX file", async () => {
    await write("broken.onnx", (await fs.readFile(path.join(path.dirname(job), "mlp.onnx"))).subarray(0, 1000));
    await expectRefused((text) => text.replace("mlp.onnx", "broken.onnx"), /error: .*(truncated|protobuf|ONNX)/i);
  });

  it("an unsupported operator, by name", async () => {
    const model = new ModelBuilder({ name: "sine" });
    const x = model.input("x", "float32", ["batch", 784]);
    model.output(model.node("Sin", [x]), "y", "float32", ["batch", 784]);
    await write("sine.onnx", model.encode());
    await expectRefused((text) => text.replace("mlp.onnx", "sine.onnx"), /Sin/);
  });

  it("a truncated IDX file, with the number of bytes that are missing", async () => {
    const images = gunzipSync(await fs.readFile(path.join(path.dirname(job), "train-images-idx3-ubyte.gz")));
    await write("short-idx3-ubyte", images.subarray(0, images.length - 5));
    await expectRefused(
      (text) => text.replace("train-images-idx3-ubyte.gz", "short-idx3-ubyte"),
      new RegExp(`short-idx3-ubyte.*${images.length}|${images.length - 5}`),
    );
  });

  it("labels that do not belong to the images", async () => {
    await expectRefused(
      (text) => text.replace("targets: train-labels", "targets: t10k-labels"),
      /train-images\S+ has 2560 rows, \S*t10k-labels\S+ has 1000/,
    );
  });

  it("a budget larger than the balance, with both sums", async () => {
    await expectRefused(
      (text) => text.replace("pricePerRound: 10", "pricePerRound: 100000"),
      /the budget is 600001 TEST, the wallet 0x[0-9a-f]{40} has 10000 TEST/,
    );
  });

  it("an amount with more decimals than the token has, by its key", async () => {
    await expectRefused(
      (text) => text.replace("stake: 20", "stake: 20.1234567"),
      /payment\.stake: 20\.1234567 has 7 decimals; TEST has 6\n.*at most 6 decimals/,
    );
  });

  it("terms that the contract refuses", async () => {
    await expectRefused((text) => text.replace("stake: 20", "stake: 1"), /stake/i);
  });

  it("a wrong passphrase", async () => {
    const wrong = path.join(network.folder, "wrong");
    await fs.writeFile(wrong, "wrong\n");
    const args = ["--rpc", network.rpcUrl, "--relay", network.relay, "--keystore", network.requester.keystore];
    const { code, stderr } = await skynet(["train", job, ...args, "--passphrase-file", wrong]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/the passphrase does not open/);
  });

  it(
    "a relay that is not there, when neither the chain nor the book on disk names another",
    { timeout: 60_000 },
    async () => {
      const anvil = await startAnvil({ dataDir: path.join(network.folder, "other-chain"), blockTimeSeconds: 0 });
      try {
        await (await createChain({ rpcUrl: anvil.rpcUrl, privateKey: DEVELOPMENT_KEY })).deploy();
        await fundAccount(anvil.rpcUrl, await keystoreAddress(network.requester.keystore));
        const relay = "/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAm85oBdh1GRShG5ruamGYmPYLzijmfikJ5EK127ZtfFXwT";
        const there = ["--rpc", anvil.rpcUrl, "--relay", relay, "--data", path.join(network.folder, "empty")];
        const { code, stderr } = await skynet(["train", job, ...there, ...wallet()]);
        expect(code).toBe(1);
        expect(stderr).toMatch(/no relay answers/);
      } finally {
        await anvil.stop();
      }
    },
  );

  it("so that no job is on the chain after all of that", expectNothingPosted);
});

/** A user namespace in which this user may mount a file system of 300 kB. */
const canMount = spawnSync("unshare", ["-rm", "true"]).status === 0;

describe("a full disk", () => {
  it.runIf(canMount)("is a clear error, and nothing is posted", { timeout: 60_000 }, async () => {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-full-"));
    const command = [process.execPath, COMMAND, "train", job, ...connection(), "--data", path.join(folder, "data")];
    const script = `mount -t tmpfs -o size=300k tmpfs ${folder} && exec ${command.join(" ")}`;
    const { status, stderr } = spawnSync("unshare", ["-rm", "sh", "-c", script], { encoding: "utf8" });
    expect(stderr).toMatch(/error: (the disk is full|no space left)/);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(status).toBe(1);
    await expectNothingPosted();
    await fs.rm(folder, { recursive: true });
  });
});

describe("the money of a key", () => {
  it("is shown and withdrawn without a relay", { timeout: 60_000 }, async () => {
    const chain = ["--rpc", network.rpcUrl, ...wallet()];
    const balance = await skynet(["wallet", "balance", ...chain]);
    expect(balance.stdout).toMatch(/^wallet +10000 TEST$/m);
    const withdrawn = await skynet(["wallet", "withdraw", ...chain]);
    expect(withdrawn.stdout).toMatch(/withdrawn: 0 TEST/);
    expect(withdrawn.code).toBe(0);
  });
});
