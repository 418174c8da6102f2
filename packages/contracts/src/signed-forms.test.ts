import type { Hex } from "@skynet/protocol";
import { toHex, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as NoReturnToken from "../generated/NoReturnToken.ts";
import { signAccountMessage } from "./chain/account-signatures.ts";
import { ledgerAbi, tokenAbi, workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { createChain } from "./chain/create.ts";
import { rawCallOf, type Call } from "./chain/transactions.ts";
import type { Chain, RoutedChain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties, modelAfter, postTestJob } from "./test-job.ts";

let chain: TestChain;
let parties: readonly Chain[];
/** Has tokens in its wallet and not one wei. */
let newcomer: Chain;
let undo: () => Promise<void>;
let token: Hex;

beforeAll(async () => {
  chain = await startTestChain(4);
  parties = chain.parties;
  await fundParties(parties);
  newcomer = await createChain({ rpcUrl: chain.anvil.rpcUrl, privateKey: testKey(50) });
  token = newcomer.addresses.testToken;
  await parties[0]!.mint(1_000n, newcomer.address);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

/** The newcomer's writes, sent by the sponsor; and the calls as they were sent. */
function sponsored(account: Chain, sponsor: Chain): { readonly worker: RoutedChain; readonly sent: Call[] } {
  const sent: Call[] = [];
  const worker = account.routed(async (call) => {
    const form = await account.signedForm(call);
    if (form === undefined) throw new Error(`no signed form of ${call.functionName}`);
    sent.push(form);
    await sponsor.forward(rawCallOf(form));
  });
  return { worker, sent };
}

const registryCall = (functionName: string, args: readonly unknown[]): Call => ({
  address: newcomer.addresses.workerRegistry,
  abi: workerRegistryAbi,
  functionName,
  args,
});
const ledgerCall = (functionName: string, args: readonly unknown[]): Call => ({
  address: newcomer.addresses.ledger,
  abi: ledgerAbi,
  functionName,
  args,
});

describe("an account without ether", () => {
  test("does everything through somebody else, and no signature works twice", async () => {
    const sponsor = parties[0]!;
    const { worker, sent } = sponsored(newcomer, sponsor);
    const capabilities = registryCall("setCapabilities", [toHex("gpu")]);
    await worker.register({ capabilities: new Uint8Array([1]) });
    await worker.deposit(token, 400n);
    await worker.addStake(token, 300n);
    await sponsor.forward(rawCallOf((await newcomer.signedForm(capabilities))!));
    await worker.beginUnstake(token, 100n);
    await worker.finishUnstake(token);
    await worker.bumpEpoch();
    expect(await worker.balances(token)).toMatchObject({ wallet: 600n, ledger: 200n, freeStake: 200n });
    await worker.withdraw(token, 200n);
    await worker.setPayout(newcomer.address, parties[1]!.address);
    expect(await worker.balances(token)).toMatchObject({ wallet: 800n, ledger: 0n });
    expect(await worker.worker(newcomer.address)).toMatchObject({ payout: parties[1]!.address, epoch: 1 });
    expect(await newcomer.gasBalance()).toBe(0n);

    const names = sent.map(({ functionName }) => functionName);
    expect(names.join()).toBe(
      "registerFor,depositFor,addStakeFor,beginUnstakeFor,finishUnstake,bumpEpochFor,withdrawFor,setPayoutFor",
    );
    for (const call of sent) {
      const codes: Record<string, string> = {
        registerFor: "AlreadyRegistered",
        finishUnstake: "ZeroAmount",
        withdrawFor: "ZeroAmount",
      };
      const code = codes[call.functionName] ?? "BadNonce";
      await expect(sponsor.simulate(rawCallOf(call)), call.functionName).rejects.toMatchObject({ code });
    }
  });

  test("joins, commits, abstains and leaves by the calls that it would send itself", async () => {
    const job = await postTestJob(parties, { seats: 2, minSeats: 1 });
    const { worker, sent } = sponsored(newcomer, parties[3]!);
    await worker.register();
    await worker.deposit(token, 120n);
    await worker.addStake(token, 120n);
    await worker.join(job.jobId);
    await job.join([0]);
    const { state } = await job.view();
    expect(state.workers[0]).toBe(newcomer.address);
    const ready = async (account: Chain, seat: number) => ({
      seat,
      signature: await account.signReady({ jobId: job.jobId, keyRef: zeroHash }),
    });
    await worker.ready(job.jobId, zeroHash, [await ready(newcomer, 0), await ready(parties[1]!, 1)]);
    await worker.commit(job.jobId, modelAfter(0), zeroHash);
    await parties[1]!.abstain(job.jobId, 0);
    // one of one that committed: its bitmap is the quorum
    const message = { jobId: job.jobId, round: 0, received: 1n, idNext: zeroHash };
    await worker.attest(job.jobId, [{ seat: 0, received: 1n, signature: await newcomer.signAttest(message) }]);
    const merge = await newcomer.signAttest({ ...message, idNext: modelAfter(0) });
    await worker.merge(job.jobId, modelAfter(0), [{ seat: 0, signature: merge }]);
    await worker.abstain(job.jobId, 1);
    const commit = sent.find(({ functionName }) => functionName === "commitFor")!;
    await expect(parties[0]!.simulate(rawCallOf(commit))).rejects.toMatchObject({ code: "BadSignature" });
    await expect(worker.leave(job.jobId)).rejects.toMatchObject({ code: "AlreadyAbstained" });
    await expect(newcomer.signedForm({ ...commit, functionName: "post" })).resolves.toBeUndefined();
  });
});

describe("a signed action", () => {
  /** A stake of 10 from the newcomer's Ledger balance. */
  const stake = async (change: Record<string, unknown> = {}, key = testKey(50), contract?: Hex, chainId = 31337) => {
    const expiry = BigInt(await newcomer.now()) + 100n;
    const message = {
      signer: newcomer.address,
      token,
      worker: newcomer.address,
      amount: 10n,
      nonce: 0n,
      expiry,
      ...change,
    };
    const domain = { chainId, contract: contract ?? newcomer.addresses.workerRegistry };
    const signature = await signAccountMessage(privateKeyToAccount(key), domain, "Stake", message);
    const by = { signer: newcomer.address, nonce: message.nonce, expiry: message.expiry, signature };
    return registryCall("addStakeFor", [token, newcomer.address, 10n, by]);
  };
  const refusal = (call: Call) =>
    parties[0]!.simulate(rawCallOf(call)).then(
      () => "accepted",
      (error) => error.code,
    );

  beforeEach(async () => {
    await sponsored(newcomer, parties[0]!).worker.register();
    await parties[0]!.mint(100n);
    await parties[0]!.deposit(token, 100n, newcomer.address);
  });

  test("is bound to signer, arguments, contract and chain, to its nonce and its time", async () => {
    expect(await refusal(await stake())).toBe("accepted");
    expect(await refusal(await stake({}, testKey(1)))).toBe("BadSignature");
    expect(await refusal(await stake({ amount: 9n }))).toBe("BadSignature");
    expect(await refusal(await stake({ token: newcomer.address }))).toBe("BadSignature");
    expect(await refusal(await stake({ worker: parties[1]!.address }))).toBe("BadSignature");
    expect(await refusal(await stake({}, testKey(50), newcomer.addresses.ledger))).toBe("BadSignature");
    expect(await refusal(await stake({}, testKey(50), undefined, 534352))).toBe("BadSignature");
    expect(await refusal(await stake({ nonce: 1n }))).toBe("BadNonce");
    expect(await refusal(await stake({ expiry: BigInt(await newcomer.now()) - 1n }))).toBe("SignatureExpired");
    const outstanding = await stake();
    await sponsored(newcomer, parties[0]!).worker.bumpEpoch();
    expect(await refusal(outstanding), "another action has used the nonce").toBe("BadNonce");
  });

  test("moves only money of its signer, and only payout and worker decide about stake and payout", async () => {
    const victim = parties[1]!;
    const thief = sponsored(newcomer, parties[0]!).worker;
    await expect(thief.beginUnstake(token, 1n, victim.address)).rejects.toMatchObject({ code: "NotPayout" });
    await expect(thief.bumpEpoch(victim.address)).rejects.toMatchObject({ code: "NotPayout" });
    await expect(thief.setPayout(victim.address, newcomer.address)).rejects.toMatchObject({ code: "NotPayout" });
    await expect(thief.addStake(token, 101n)).rejects.toMatchObject({ code: "InsufficientBalance" });
    const form = (await newcomer.signedForm(registryCall("addStake", [token, newcomer.address, 5n])))!;
    const by = form.args[3] as { readonly nonce: bigint };
    const stolen = registryCall("addStakeFor", [token, newcomer.address, 5n, { ...by, signer: victim.address }]);
    expect(await refusal(stolen)).toBe("BadSignature");
  });
});

describe("a signed deposit", () => {
  const noPermit = { deadline: 0n, v: 0, r: zeroHash, s: zeroHash };

  test("needs the owner's signature, also when an old approval would allow it", async () => {
    const owner = parties[1]!;
    const approve = { address: token, abi: tokenAbi, functionName: "approve", args: [owner.addresses.ledger, 500n] };
    await owner.forward(rawCallOf(approve));
    const by = { signer: owner.address, nonce: 0n, expiry: 2n ** 40n };
    const signature = await signAccountMessage(
      privateKeyToAccount(testKey(99)),
      { chainId: 31337, contract: owner.addresses.ledger },
      "Deposit",
      { ...by, token, to: owner.address, amount: 500n },
    );
    const forced = ledgerCall("depositFor", [token, owner.address, 500n, noPermit, { ...by, signature }]);
    await expect(parties[0]!.simulate(rawCallOf(forced))).rejects.toMatchObject({ code: "BadSignature" });

    // with it the approval is enough, and the tokens may be for another account
    const form = (await owner.signedForm(ledgerCall("deposit", [token, newcomer.address, 500n])))!;
    await parties[0]!.forward(rawCallOf(form));
    expect((await newcomer.balances(token)).ledger).toBe(500n);
  });

  test("works when somebody has sent its permit first", async () => {
    const sent: Call[] = [];
    const worker = newcomer.routed(async (call) => {
      sent.push((await newcomer.signedForm(call))!);
    });
    await worker.deposit(token, 700n);
    const [, , amount, permit] = sent[0]!.args as [Hex, Hex, bigint, { deadline: bigint; v: number; r: Hex; s: Hex }];
    const { deadline, v, r, s } = permit;
    const args = [newcomer.address, newcomer.addresses.ledger, amount, deadline, v, r, s];
    await parties[2]!.forward(rawCallOf({ address: token, abi: tokenAbi, functionName: "permit", args }));
    await parties[0]!.forward(rawCallOf(sent[0]!));
    expect((await newcomer.balances(token)).ledger).toBe(700n);
  });

  test("of a token without permits needs an approval", async () => {
    const { walletClient, publicClient } = await connect(chain.anvil.rpcUrl, testKey(1));
    const hash = await walletClient.deployContract({ abi: NoReturnToken.abi, bytecode: NoReturnToken.bytecode });
    const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash });
    const plain = contractAddress!.toLowerCase() as Hex;
    const owner = parties[1]!;
    const as = { address: plain, abi: tokenAbi };
    await owner.forward(rawCallOf({ ...as, functionName: "mint", args: [owner.address, 50n] }));
    const form = (await owner.signedForm(ledgerCall("deposit", [plain, owner.address, 50n])))!;
    await expect(parties[0]!.simulate(rawCallOf(form))).rejects.toThrow();
    await owner.forward(rawCallOf({ ...as, functionName: "approve", args: [owner.addresses.ledger, 50n] }));
    await parties[0]!.forward(rawCallOf(form));
    expect((await owner.balances(plain)).ledger).toBe(50n);
  });
});
