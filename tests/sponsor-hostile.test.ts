import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { createChain, jobBoardAbi, ledgerAbi, rawCallOf, workerRegistryAbi, type Call } from "@skynet/contracts";
import { encode, JobPhase, type Hex } from "@skynet/protocol";
import { createTestClient, http, keccak256, toHex, zeroHash } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { testKey } from "../packages/contracts/src/test-chain.ts";
import { decodeRequest, SPONSOR_PROTOCOL, encodeAnswer } from "../packages/node/src/sponsor/messages.ts";
import { sponsoringRole } from "../packages/node/src/sponsor/finding.ts";
import {
  askRaw,
  askSponsor,
  hasHeard,
  sponsoredChain,
  startScene,
  type Party,
  type SponsoringScene,
} from "./support/sponsoring.ts";

let scene: SponsoringScene;
let undo: () => Promise<void>;
/** Every test has nodes of its own: rates and distrust belong to them. */
let nextKey = 100;
const key = () => nextKey++;

beforeAll(async () => {
  scene = await startScene();
});
afterAll(() => scene.stop());
beforeEach(async () => {
  undo = await scene.net.checkpoint();
});
afterEach(async () => {
  await scene.stopNodes();
  await undo();
});

const join = async ({ chain }: Party, job: Hex): Promise<Call> =>
  (await chain.signedForm({
    address: chain.addresses.jobBoard,
    abi: jobBoardAbi,
    functionName: "join",
    args: [job, 0n, { expiry: 0n, signature: "0x" }],
  }))!;
const registry = ({ chain }: Party, functionName: string, args: readonly unknown[]): Call => ({
  address: chain.addresses.workerRegistry,
  abi: workerRegistryAbi,
  functionName,
  args,
});
const code = (answer: Awaited<ReturnType<typeof askSponsor>>) => (answer.t === "sent" ? "sent" : answer.code);
const transactionsOf = async ({ chain }: Party) => {
  const client = createTestClient({ mode: "anvil", transport: http(chain.rpcUrl) });
  return Number(
    await client.request({ method: "eth_getTransactionCount", params: [chain.address, "latest"] } as never),
  );
};

describe("a sponsor", () => {
  it("pays for nothing but well-formed calls that it offers", async () => {
    const payer = await scene.sponsor(key());
    const worker = await scene.newcomer(key(), true);
    const job = await scene.postJob(2);
    await hasHeard(worker, [payer]);
    const good = await join(worker, job);
    const raw = rawCallOf(good);
    const { addresses } = worker.chain;
    const ledger = (functionName: string, args: readonly unknown[]): Call => ({
      address: addresses.ledger,
      abi: ledgerAbi,
      functionName,
      args,
    });
    const asks = async (call: Call | typeof raw, about = job) => code(await askSponsor(worker, payer, about, call));
    const [first, list, signatures, admissions] = good.args as [Hex, unknown[], Hex[], unknown[]];

    expect(await asks({ ...raw, data: "0x12345678" })).toBe("Malformed");
    expect(await asks({ ...raw, data: `${raw.data}00` })).toBe("Malformed");
    expect(await asks({ ...good, args: [first, list, [], admissions] })).toBe("Malformed");
    expect(
      await asks({
        ...good,
        args: [first, [...list, ...list], [...signatures, ...signatures], [...admissions, ...admissions]],
      }),
    ).toBe("Malformed");
    expect(await asks({ ...raw, to: addresses.testToken })).toBe("NotOffered");
    expect(await asks(ledger("withdraw", [scene.token, worker.chain.address, 1n]))).toBe("NotOffered");
    expect(await asks({ ...raw, to: worker.chain.address })).toBe("NotOffered");
    expect(await asks({ ...raw, data: `${raw.data}${"00".repeat(5000)}` })).toBe("Malformed");
    expect(await asks({ ...good, args: [first, list, [`0x${"00".repeat(4000)}`], admissions] })).toBe("TooLarge");
    const frames = [
      randomBytes(200),
      encode({ v: 2 }),
      encode({ v: 1, job: 3, to: "x", data: null }),
      new Uint8Array(),
    ];
    for (const frame of frames) {
      const answer = await askRaw(worker, payer, frame);
      expect(Buffer.from(answer).toString("latin1")).toContain("Malformed");
    }
    await expect(askRaw(worker, payer, new Uint8Array(200_000))).rejects.toMatchObject({ code: "Unreachable" });
    expect(await transactionsOf(payer)).toBe(0);
    expect(await asks(good)).toBe("sent");
    expect(await transactionsOf(payer)).toBe(1);
  });

  it("pays only for chosen jobs, and only for whoever has a part in them", async () => {
    const [mine, other] = [await scene.postJob(2), await scene.postJob(2)];
    const payer = await scene.sponsor(key(), { chooses: (job) => job === mine });
    const [worker, stranger] = [await scene.newcomer(key(), true), await scene.node(key())];
    await hasHeard(worker, [payer]);
    await hasHeard(stranger, [payer]);
    const good = await join(worker, mine);
    expect(code(await askSponsor(worker, payer, other, await join(worker, other)))).toBe("NotMyJob");
    expect(code(await askSponsor(worker, payer, zeroHash, { ...good, args: [zeroHash, ...good.args.slice(1)] }))).toBe(
      "NotMyJob",
    );
    expect(code(await askSponsor(worker, payer, mine, await join(worker, other)))).toBe("Malformed");
    expect(code(await askSponsor(stranger, payer, mine, good))).toBe("NotEntitled");

    // a made-up key without the job's stake gets nothing
    const poor = stranger.chain.routed(async (call) => {
      const form = (await stranger.chain.signedForm(call))!;
      throw Object.assign(new Error("asked"), { answer: code(await askSponsor(stranger, payer, mine, form)) });
    });
    await expect(poor.register()).rejects.toMatchObject({ answer: "NotEntitled" });
    const foreign = await worker.chain.signedForm(
      registry(worker, "addStake", [worker.chain.address, worker.chain.address, 5n]),
    );
    expect(code(await askSponsor(worker, payer, mine, foreign!))).toBe("NotEntitled");
    const unstake = await worker.chain.signedForm(
      registry(worker, "beginUnstake", [scene.token, worker.chain.address, 5n]),
    );
    expect(code(await askSponsor(worker, payer, mine, unstake!)), "without a seat").toBe("NotEntitled");
    expect(await transactionsOf(payer)).toBe(0);

    expect(code(await askSponsor(worker, payer, mine, good))).toBe("sent");
    expect(code(await askSponsor(worker, payer, mine, unstake!))).toBe("sent");
    const signedByOther = {
      ...unstake!,
      args: [...unstake!.args.slice(0, 3), { ...(unstake!.args[3] as object), signer: stranger.chain.address }],
    };
    expect(code(await askSponsor(worker, payer, mine, signedByOther))).toBe("NotEntitled");
    const tick: Call = { ...good, functionName: "tick", args: [mine] };
    expect(code(await askSponsor(stranger, payer, mine, tick))).toBe("NotEntitled");
    expect(code(await askSponsor(worker, payer, mine, tick))).toBe("TooEarly");
  });

  it("refuses forged signatures before it asks the chain, and pays once for what comes twice", async () => {
    const payer = await scene.sponsor(key());
    const [worker, thief] = [await scene.newcomer(key(), true), await scene.newcomer(key(), true)];
    const job = await scene.postJob(3);
    await hasHeard(worker, [payer]);
    await hasHeard(thief, [payer]);
    const good = await join(worker, job);
    const [, list, signatures, admissions] = good.args as [Hex, { worker: Hex }[], Hex[], unknown[]];
    const forged = { ...good, args: [job, [{ ...list[0]!, worker: thief.chain.address }], signatures, admissions] };
    expect(code(await askSponsor(thief, payer, job, forged))).toBe("BadSignature");
    const cut = { ...good, args: [job, list, [signatures[0]!.slice(0, -2)], admissions] };
    expect(code(await askSponsor(worker, payer, job, cut))).toBe("BadSignature");

    const twice = await Promise.all([1, 2].map(() => askSponsor(worker, payer, job, good)));
    expect(twice[0]).toEqual(twice[1]);
    expect(code(twice[0]!)).toBe("sent");
    expect(code(await askSponsor(worker, payer, job, good))).toBe("AlreadyJoined");
    expect(await transactionsOf(payer)).toBe(1);
    expect(payer.sponsor.figures).toMatchObject({ transactions: 1 });
  });

  it("gathers joins, readiness and commits of a job, and drops only the bad one of a batch", async () => {
    const payer = await scene.sponsor(key(), { limits: { windowMs: 1500 } });
    const workers = await Promise.all([1, 2, 3, 4].map(() => scene.newcomer(key(), true)));
    for (const worker of workers) await hasHeard(worker, [payer]);
    const job = await scene.postJob(3);
    // four want three seats: each alone would succeed, together they do not
    const answers = await Promise.all(workers.map(async (w) => askSponsor(w, payer, job, await join(w, job))));
    expect(answers.map(code).sort()).toEqual(["WrongState", "sent", "sent", "sent"]);
    const { state } = await scene.requester.job(job);
    expect(state.phase).toBe(JobPhase.READY);
    const seated = state.workers.map((address) => workers.find(({ chain }) => chain.address === address)!);
    const keyRef = keccak256(toHex("keys"));

    const before = payer.sponsor.figures.transactions;
    const board = (functionName: string, args: readonly unknown[]): Call => ({
      address: scene.requester.addresses.jobBoard,
      abi: jobBoardAbi,
      functionName,
      args,
    });
    const ready = await Promise.all(
      seated.map(async (w, seat) => {
        const signature = await w.chain.signReady({ jobId: job, keyRef });
        return askSponsor(w, payer, job, board("ready", [job, keyRef, [seat], [signature]]));
      }),
    );
    const commits = await Promise.all(
      seated.map(async (w, seat) => {
        const message = { jobId: job, round: 0, idEnd: keccak256(toHex(`model ${seat}`)), stepsRoot: zeroHash };
        const signature = await w.chain.signCommit(message);
        return askSponsor(w, payer, job, board("commitFor", [job, [{ ...message, seat }], [signature]]));
      }),
    );
    for (const answers of [ready, commits]) {
      expect(answers.map(code)).toEqual(["sent", "sent", "sent"]);
      expect(new Set(answers.map((answer) => answer.t === "sent" && answer.hash)).size).toBe(1);
    }
    expect(payer.sponsor.figures.transactions).toBe(before + 2);
    expect((await scene.requester.job(job)).state.phase).toBe(JobPhase.PROVE);
  });

  it("lets a flood wait, and serves the others meanwhile", async () => {
    const payer = await scene.sponsor(key(), { limits: { burst: 20, perSecond: 1 } });
    const [flooder, worker] = [await scene.newcomer(key(), true), await scene.newcomer(key(), true)];
    const job = await scene.postJob(2);
    await hasHeard(flooder, [payer]);
    await hasHeard(worker, [payer]);
    const call = await join(flooder, job);
    const forged = { ...call, args: [job, call.args[1], [`0x${"11".repeat(65)}`], call.args[3]] };
    const outcome = () => askSponsor(flooder, payer, job, forged).then(code, (error: { code: string }) => error.code);
    const flood = Array.from({ length: 150 }, outcome);
    expect(code(await askSponsor(worker, payer, job, await join(worker, job)))).toBe("sent");
    const codes = await Promise.all(flood);
    // so many streams at once are cut off by the transport, too
    expect(codes.filter((c) => c === "RateLimited" || c === "Unreachable").length).toBeGreaterThanOrEqual(120);
    expect(codes).not.toContain("sent");
  });

  it("keeps its budget over a restart; the worker turns to another sponsor", async () => {
    const file = path.join(scene.folder, "budget.json");
    const limits = { newcomerGas: 200_000n };
    const poor = await scene.sponsor(key(), { file, limits });
    const worker = await scene.newcomer(key(), true);
    const job = await scene.postJob(2);
    await hasHeard(worker, [poor]);
    const capabilities = (text: string) => worker.chain.signedForm(registry(worker, "setCapabilities", [toHex(text)]));
    expect(code(await askSponsor(worker, poor, job, (await capabilities("fast"))!))).toBe("sent");
    expect(code(await askSponsor(worker, poor, job, (await capabilities("faster"))!))).toBe("sent");
    const spent = JSON.parse(await fs.readFile(file, "utf8")) as { workers: Record<Hex, string> };
    expect(Number(spent.workers[`${worker.chain.address}/${job}/newcomers`])).toBeGreaterThan(80_000);
    await poor.sponsor.stop();

    const again = await scene.sponsor(key(), { file, limits });
    await hasHeard(worker, [again]);
    expect(code(await askSponsor(worker, again, job, await join(worker, job)))).toBe("BudgetSpent");
    const rich = await scene.sponsor(key());
    await hasHeard(worker, [rich]);
    const { chain, paid } = sponsoredChain(worker);
    await chain.join(job);
    expect(paid.map(({ sponsor }) => sponsor)).toEqual([rich.chain.address]);

    await fs.writeFile(file, "{");
    await expect(scene.sponsor(key(), { file })).rejects.toMatchObject({ code: "BrokenBudgetFile" });
  });

  it("keeps what the seats need from keys without one, who may move the same stake from key to key", async () => {
    const payer = await scene.sponsor(key(), { limits: { newcomerGas: 200_000n, jobGas: 1_000_000n } });
    const [worker, ...crowd] = await Promise.all([1, 2, 3, 4].map(() => scene.newcomer(key(), true)));
    for (const party of [worker!, ...crowd]) await hasHeard(party, [payer]);
    const job = await scene.postJob(2);
    expect(code(await askSponsor(worker!, payer, job, await join(worker!, job)))).toBe("sent");
    const repeat = async (party: Party, text: string) => {
      const form = await party.chain.signedForm(registry(party, "setCapabilities", [toHex(text)]));
      return askSponsor(party, payer, job, form!);
    };
    for (const party of crowd) {
      const answers = [];
      for (let i = 0; i < 6; i++) answers.push(await repeat(party, `fast ${i}`));
      expect(answers.map(code)).toContain("BudgetSpent");
    }
    const last = await repeat(crowd[2]!, "fast");
    expect(last.t === "refused" && last.reason).toContain("of the job for workers without a seat");
    for (let i = 0; i < 3; i++) expect(code(await repeat(worker!, `mine ${i}`))).toBe("sent");
  });

  it("takes nothing before the transactions of its last life are in blocks", async () => {
    const rpc = createTestClient({ mode: "anvil", transport: http(scene.net.anvil.rpcUrl) });
    const payerKey = key();
    const chain = await createChain({ rpcUrl: scene.net.anvil.rpcUrl, privateKey: testKey(payerKey) });
    await scene.net.anvil.setBalance(chain.address, 10n ** 20n);
    const worker = await scene.newcomer(key(), true);
    const job = await scene.postJob(2);
    const call = await join(worker, job);
    await rpc.setAutomine(false);
    try {
      const earlier = chain.forward(rawCallOf(call));
      while ((await chain.pendingTransactions()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      const payer = await scene.sponsor(payerKey);
      await hasHeard(worker, [payer]);
      const ask = async () => code(await askSponsor(worker, payer, job, call));
      expect(await ask()).toBe("Busy");
      await rpc.mine({ blocks: 1 });
      await earlier;
      await expect.poll(ask, { timeout: 8000, interval: 500 }).toBe("AlreadyJoined");
      expect(await transactionsOf(payer)).toBe(1);
    } finally {
      await rpc.setAutomine(true);
    }
  });
});

describe("a worker", () => {
  /** A node that says that it is a sponsor and does as it likes. */
  async function falseSponsor(handle: (request: Uint8Array) => Promise<Uint8Array>): Promise<Party> {
    const party = await scene.node(key(), sponsoringRole("relay"));
    await scene.net.anvil.setBalance(party.chain.address, 10n ** 20n);
    await party.host.serve(SPONSOR_PROTOCOL, async (stream) => {
      const request = await stream.read(200_000);
      await stream.write(await handle(request!));
    });
    return party;
  }

  it("believes no sponsor: false hashes, other transactions, nonsense and silence lead to the next one", async () => {
    const worker = await scene.newcomer(key(), true);
    const job = await scene.postJob(2);
    const unrelated = await scene.requester.mint(1n);
    const liars = await Promise.all([
      falseSponsor(async () => encodeAnswer({ t: "sent", hash: keccak256(toHex("nothing")) })),
      falseSponsor(async () => encodeAnswer({ t: "sent", hash: unrelated.transactionHash })),
      falseSponsor(async () => new Uint8Array(50).fill(7)),
      falseSponsor(() => new Promise(() => undefined)),
    ]);
    await hasHeard(worker, liars);
    const { chain, paid } = sponsoredChain(worker, "auto", 1500);
    const failed = await chain.join(job).then(
      () => undefined,
      (error: unknown) => error as { code: string; message: string; hint: string },
    );
    expect(failed).toMatchObject({ code: "NoSponsor" });
    expect(failed!.message).toContain("which does not do it");
    expect(failed!.message).toContain("has not answered");
    expect(failed!.hint).toContain("send a little ether");
    expect(paid).toEqual([]);

    const honest = await scene.sponsor(key());
    await hasHeard(worker, [honest]);
    await chain.join(job);
    expect(paid.map(({ sponsor }) => sponsor)).toEqual([honest.chain.address]);
    expect((await scene.requester.job(job)).state.workers).toEqual([worker.chain.address]);
  });

  it("looks at the chain when a sponsor dies in the middle: nothing is sent twice", async () => {
    const worker = await scene.newcomer(key());
    const job = await scene.postJob(2);
    let sent = 0;
    const dying: Party = await falseSponsor(async (request) => {
      await dying.chain.forward(decodeRequest(request).call);
      sent++;
      throw new Error("the process is gone");
    });
    await hasHeard(worker, [dying]);
    const { chainFor, paid } = sponsoredChain(worker);
    const chain = chainFor(job);
    await chain.register();
    await chain.deposit(scene.token, 200n);
    await chain.addStake(scene.token, 150n);
    await chain.join(job);
    expect([sent, paid.length]).toEqual([4, 0]);
    expect(await worker.chain.balances(scene.token)).toMatchObject({
      wallet: 300n,
      ledger: 50n,
      freeStake: 30n,
      lockedStake: 120n,
    });
  });

  it("uses its own ether when no sponsor pays, and says what the contract says", async () => {
    const worker = await scene.newcomer(key(), true);
    const job = await scene.postJob(2);
    const empty = await scene.sponsor(key());
    await scene.net.anvil.setBalance(empty.chain.address, 0n);
    await hasHeard(worker, [empty]);
    await expect(sponsoredChain(worker).chain.join(job)).rejects.toMatchObject({ code: "NoSponsor" });
    await expect(sponsoredChain(worker, "own").chain.join(job)).rejects.toMatchObject({ code: "NoGasMoney" });
    await scene.net.anvil.setBalance(worker.chain.address, 10n ** 18n);
    const { chain, paid } = sponsoredChain(worker, "sponsor");
    await chain.join(job);
    expect(paid).toEqual([]);
    expect(await worker.chain.gasBalance()).toBeLessThan(10n ** 18n);
    await expect(chain.tick(job)).rejects.toMatchObject({ code: "TooEarly" });
    // joined before: nothing to pay for, and no error for a worker that was restarted
    await scene.net.anvil.setBalance(worker.chain.address, 0n);
    await chain.join(job);
  });
});
