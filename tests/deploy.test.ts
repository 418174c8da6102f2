import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { jobBoardAbi, skynetAddresses, startAnvil, type Anvil } from "@skynet/contracts";
import { createKeystore, startChild } from "@skynet/node";
import { createTestClient, http, parseEther, publicActions, type Hex } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventsOf, skynet } from "./support/cli.ts";

const SCROLL_SEPOLIA = 534_351;
let folder = "";
let account: Hex;
const anvils: Anvil[] = [];

const env = () => ({ SKYNET_HOME: path.join(folder, "home"), SKYNET_PASSPHRASE: "pass", NO_COLOR: "1" });
const keystore = () => path.join(folder, "deployer.json");

async function startChain(name: string, chainId: number, extraArguments: readonly string[] = []): Promise<Anvil> {
  const dataDir = path.join(folder, name);
  const anvil = await startAnvil({ dataDir, chainId, blockTimeSeconds: 0, extraArguments });
  anvils.push(anvil);
  return anvil;
}

const clientOf = ({ rpcUrl }: Anvil) =>
  createTestClient({ mode: "anvil", transport: http(rpcUrl), cacheTime: 0 }).extend(publicActions);

async function deploy({ rpcUrl }: Anvil, ...args: readonly string[]) {
  const wallet = ["--keystore", keystore()];
  const result = await skynet(["deploy", "--rpc", rpcUrl, ...wallet, "--json", ...args], { env: env() });
  return { ...result, last: eventsOf(result.stdout).at(-1) ?? {} };
}

interface Book {
  readonly chainId: number;
  readonly block: number;
  readonly contracts: Record<string, { address: Hex; codeHash: Hex }>;
}
const readBook = async (chainId: number): Promise<Book> =>
  JSON.parse(await fs.readFile(path.join(folder, "home", "deployments", `${chainId}.json`), "utf8")) as Book;

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-deploy-"));
  account = await createKeystore(keystore(), randomBytes(32), env().SKYNET_PASSPHRASE, 1024);
});
afterAll(async () => {
  for (const anvil of anvils) await anvil.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

describe("skynet deploy", () => {
  // The test goes through one chain's life; a chain without the CREATE2 proxy, as new ones are.
  it("refuses the wrong chain and an empty purse, goes on where it was killed, and has nothing to do twice", async () => {
    const anvil = await startChain("public", SCROLL_SEPOLIA, ["--disable-default-create2-deployer"]);
    const client = clientOf(anvil);
    const nonce = () => client.getTransactionCount({ address: account });

    const wrong = await deploy(anvil, "--chain-id", "1");
    expect([wrong.code, wrong.last.code]).toEqual([1, "WrongChain"]);
    expect((await deploy(anvil, "--network", "scroll")).last.code).toBe("WrongChain");
    const poor = await deploy(anvil);
    expect(poor.last).toMatchObject({
      event: "error",
      code: "NoGasMoney",
      message: expect.stringMatching(/has 0 ETH/),
    });

    const seen = await deploy(anvil, "--check", "--network", "scroll-sepolia");
    const contracts = seen.last.missing as string[];
    expect(seen.last).toMatchObject({ complete: false, chainId: SCROLL_SEPOLIA, balance: "0" });
    expect(contracts).toEqual(expect.arrayContaining(["ledger", "workerRegistry", "jobBoard", "blockhashBeacon"]));
    expect(contracts).not.toEqual(expect.arrayContaining([expect.stringMatching(/^test/)]));

    // A price for data, as rollups have: one ether a transaction.
    await client.setCode({
      address: "0x5300000000000000000000000000000000000002",
      bytecode: "0x670de0b6b3a76400005f5260205ff3",
    });
    const dearer = await deploy(anvil, "--check");
    const data = parseEther(String(contracts.length));
    expect(BigInt(dearer.last.cost as string)).toBeGreaterThanOrEqual(data);
    expect(BigInt(dearer.last.cost as string)).toBeLessThan(BigInt(seen.last.cost as string) + 2n * data);
    expect(await nonce()).toBe(0);
    await client.setBalance({ address: account, value: parseEther("1000") });

    await killInTheMiddle(anvil, contracts.length);
    const done = await deploy(anvil, "--network", "scroll-sepolia");
    expect(done.last).toMatchObject({ complete: true });
    expect(done.last.created).toBeGreaterThan(0);
    expect(done.last.created).toBeLessThan(contracts.length);

    const book = await readBook(SCROLL_SEPOLIA);
    expect(book.chainId).toBe(SCROLL_SEPOLIA);
    expect(Object.keys(book.contracts).sort()).toEqual([...contracts].sort());
    const addresses = skynetAddresses();
    const before = await client.getCode({ address: addresses.jobMachine, blockNumber: BigInt(book.block) });
    expect(before).toBeUndefined();

    const sent = await nonce();
    const again = await deploy(anvil);
    expect(again.last).toMatchObject({ complete: true, created: 0, block: book.block });
    expect(await nonce()).toBe(sent);
    expect((await deploy(anvil, "--check")).last).toMatchObject({ complete: true, missing: [] });

    // Nobody can bring test money to a public chain, and windows are those of public chains.
    for (const name of ["testToken", "testBeacon"] as const)
      expect(await client.getCode({ address: addresses[name] })).toBeUndefined();
    const minWindow = { address: addresses.jobBoard, abi: jobBoardAbi, functionName: "minWindow" } as const;
    expect(await client.readContract(minWindow)).toBe(900n);

    await client.setCode({ address: addresses.ledger, bytecode: "0x00" });
    expect((await deploy(anvil, "--check")).last).toMatchObject({ event: "error", code: "WrongCode" });
  }, 180_000);

  it("gives a development chain the same addresses, test money besides, and refuses a false BLOCKHASH", async () => {
    const anvil = await startChain("development", 31_337);
    await anvil.setBalance(account, parseEther("10"));
    expect((await deploy(anvil)).last).toMatchObject({ complete: true });
    const [development, open] = [await readBook(31_337), await readBook(SCROLL_SEPOLIA)];
    const addressesOf = ({ contracts }: Book) =>
      Object.fromEntries(Object.entries(contracts).map(([name, { address }]) => [name, address]));
    const { testToken, testBeacon, ...same } = addressesOf(development);
    expect([testToken, testBeacon]).toEqual([skynetAddresses().testToken, skynetAddresses().testBeacon]);
    expect(same).toEqual(addressesOf(open));
    // The chain's id is in the domain of signatures, so it is in the code.
    expect(development.contracts.jobBoard!.codeHash).not.toBe(open.contracts.jobBoard!.codeHash);

    // anvil forgets the hashes of its blocks when it is started again, and says others.
    await anvil.stop();
    const restarted = await startChain("development", 31_337);
    expect((await deploy(restarted)).last).toMatchObject({ event: "error", code: "FalseBlockhash" });
  }, 180_000);

  it("notes the block from which on the index reads, unless it is told another one", async () => {
    const anvil = anvils[0]!;
    const wallet = ["--rpc", anvil.rpcUrl, "--keystore", keystore()];
    const registered = await skynet(["worker", "register", ...wallet], { env: env() });
    expect(registered.code, registered.stderr).toBe(0);
    // Moved behind the registration, so that what begins at this block does not see it.
    const after = Number(await clientOf(anvil).getBlockNumber()) + 1;
    const book = path.join(folder, "home", "deployments", `${SCROLL_SEPOLIA}.json`);
    await fs.writeFile(book, JSON.stringify({ ...(await readBook(SCROLL_SEPOLIA)), block: after }));
    await clientOf(anvil).mine({ blocks: 3 });

    const workersIn = async (data: string, ...args: readonly string[]) => {
      const place = ["--rpc", anvil.rpcUrl, "--data", path.join(folder, data), "--port", "0"];
      const child = startChild(["index", ...place, ...args], { env: { ...process.env, ...env() } });
      const { url } = await child.event("ready");
      const { counts } = (await (await fetch(`${String(url)}/v1/status`)).json()) as { counts: { workers: number } };
      await child.stop();
      return counts.workers;
    };
    expect(await workersIn("noted")).toBe(0);
    expect(await workersIn("told", "--first-block", "0")).toBe(1);
  }, 180_000);
});

/** Kills a deployment when all its transactions are sent; the chain then takes only the first of them. */
async function killInTheMiddle(anvil: Anvil, count: number): Promise<void> {
  const client = clientOf(anvil);
  await client.setAutomine(false);
  const child = startChild(["deploy", "--rpc", anvil.rpcUrl, "--keystore", keystore()], {
    env: { ...process.env, ...env() },
  });
  // The proxy's own two transactions need their blocks.
  const proxy = "0x4e59b44847b379578588920cA78FbF26c0B4956C";
  while ((await client.getCode({ address: proxy })) === undefined) await client.mine({ blocks: 1 });
  while ((await client.getTransactionCount({ address: account, blockTag: "pending" })) < count + 1);
  child.process.kill("SIGKILL");
  const { pending } = await client.getTxpoolContent();
  const own = Object.entries(pending).find(([sender]) => sender.toLowerCase() === account)![1];
  for (const { hash, nonce } of Object.values(own)) if (Number(nonce) > 4) await client.dropTransaction({ hash });
  await client.mine({ blocks: 1 });
  await client.setAutomine(true);
}
