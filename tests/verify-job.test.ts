import path from "node:path";
import { type Chain, createChain } from "@skynet/contracts";
import { verifyJob, type VerifiedJob } from "@skynet/node";
import { type Hex, JobPhase, seatBit, toHex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skynet } from "./support/cli.ts";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { tinyModel, writeTinyJob } from "./support/tiny-job.ts";

type Events = Awaited<ReturnType<Chain["events"]>>;
type ChainEvent = Events[number];
type Job = Awaited<ReturnType<Chain["job"]>>;

const WORKERS = 2;
const ZERO: Hex = `0x${"00".repeat(32)}`;

let network: TestNetwork;
let chain: Chain;
let jobId: Hex;

beforeAll(async () => {
  network = await startTestNetwork(WORKERS);
  const file = await writeTinyJob(path.join(network.folder, "job"), { workers: WORKERS, beacon: "test" });
  const requester = network.train(file);
  const summary = requester.event("summary", 150_000);
  ({ jobId } = (await requester.event("posted")) as { jobId: Hex });
  expect(await summary).toMatchObject({ outcome: "COMPLETED", proofs: 8 });
  chain = await createChain({ rpcUrl: network.rpcUrl, privateKey: toHex(await network.requesterKey()) });
}, 180_000);

afterAll(() => network?.close(), 30_000);

const verifying = (view: Partial<Chain> = {}, model = tinyModel()): Promise<VerifiedJob> =>
  verifyJob({ chain: { ...chain, ...view }, jobId, model: async () => model });

/** The chain with other events. */
const withEvents = (change: (events: Events) => Events): Partial<Chain> => ({
  events: async (range) => change(await chain.events(range)),
});
const without = (hidden: (event: ChainEvent) => boolean) => withEvents((all) => all.filter((event) => !hidden(event)));
const withJob = (change: (job: Job) => Job): Partial<Chain> => ({
  job: async (id) => change(await chain.job(id)),
});
const isProofOf = (event: ChainEvent, seat: bigint, round: number) =>
  event.name === "Proven" && event.args.seat === seat && event.args.round === round;
/** Seat 0 of the first round has not proven and is not paid. */
const unpaid: Partial<Chain> = {
  ...withEvents((all) =>
    all.flatMap((event) => {
      if (isProofOf(event, 0n, 0)) return [];
      if (event.name !== "RoundEnded" || event.args.round !== 0) return [event];
      const { paidCompute, paidDelivery } = event.args;
      const args = { ...event.args, paidCompute: paidCompute & ~seatBit(0), paidDelivery: paidDelivery & ~seatBit(0) };
      return [{ ...event, args }];
    }),
  ),
  ...withJob((job) => {
    const cut = (seats: readonly bigint[]) => seats.map((set, round) => (round === 0 ? set & ~seatBit(0) : set));
    const { paidCompute, paidDelivery } = job.state;
    return { ...job, state: { ...job.state, paidCompute: cut(paidCompute), paidDelivery: cut(paidDelivery) } };
  }),
};

type Call<Name extends string> = Extract<Awaited<ReturnType<Chain["transactionInput"]>>, { functionName: Name }>;

/** The chain with other transactions of one kind. */
const withCalls = <Name extends "prove" | "mergeProven">(
  name: Name,
  change: (args: Call<Name>["args"]) => Call<Name>["args"],
): Partial<Chain> => ({
  transactionInput: async (hash) => {
    const call = await chain.transactionInput(hash);
    if (call?.functionName !== name) return call;
    return { ...call, args: change(call.args as Call<Name>["args"]) } as Call<Name>;
  },
});
/** The points of the first two updates change places. */
const swapped = () =>
  withCalls("mergeProven", ([id, base, [first, second, ...rest]]) => [
    id,
    base,
    [{ ...first!, points: second!.points }, { ...second!, points: first!.points }, ...rest],
  ]);
const otherBase = () => withCalls("mergeProven", ([id, , updates]) => [id, updates[0]!.points, updates]);
const noPoints = () => withCalls("mergeProven", ([id, , updates]) => [id, `0x${"11".repeat(64)}`, updates]);
/** The second step's proof in place of the first one's. */
const otherProof = () =>
  withCalls("prove", ([id, answer]) => {
    const [first, second] = answer.steps;
    return [id, { ...answer, steps: [{ ...first!, proof: second!.proof }, second!] }];
  });

describe("the check of a job from the chain", () => {
  it("verifies an honest job", async () => {
    const { modelId } = await chain.job(jobId);
    const result = await verifying();
    expect(result).toMatchObject({ jobId, settled: true, outcome: "COMPLETED", proofs: 8, modelId });
    const round = { committed: 2, drawn: 2, proofs: 4, paid: 2, paidDrawn: 2, merged: true };
    expect(result.rounds).toEqual([
      { round: 0, ...round },
      { round: 1, ...round },
    ]);
  });

  it("is the command `skynet verify`, which finds the model among the blocks of this machine", async () => {
    const { code, stdout, stderr } = await skynet(["verify", jobId.slice(0, 10), "--rpc", network.rpcUrl], {
      env: { SKYNET_HOME: network.folder },
    });
    expect(stderr.trimEnd().split("\n").at(-1), "nothing but progress").toBe("Verifying proofs: 100 %");
    expect(code).toBe(0);
    expect(stdout).toContain("round 2: 2 committed, 2 drawn, 4 proofs verified, 2 paid (2 of them drawn)");
    expect(stdout).toMatch(/job \S+ is verified: it ended as COMPLETED after 2 rounds, 8 proofs/);
  });

  it("says how far a job is verified that is not settled", async () => {
    const running = withJob((job) => ({ ...job, state: { ...job.state, phase: JobPhase.DELIVER } }));
    expect(await verifying(running)).toMatchObject({ settled: false, phase: "DELIVER" });
  });

  const names = ["Assigned", "Committed", "PhaseChanged", "Drawn", "Proven", "Delivered", "Merged", "RoundEnded"];
  for (const name of [...names, "Settled", "JobPosted"])
    it(`notices that the logs of ${name} are left out, all or the last one`, async () => {
      const all = await chain.events({ jobId });
      const last = all.findLast(
        (event) => event.name === name && !(event.name === "PhaseChanged" && event.args.phase !== JobPhase.DRAW),
      );
      expect(last).toBeDefined();
      await expect(verifying(without((event) => event.name === name))).rejects.toMatchObject({
        name: "VerificationError",
        hint: expect.stringContaining("--rpc") as string,
      });
      await expect(
        verifying(
          without(({ blockNumber, logIndex }) => blockNumber === last!.blockNumber && logIndex === last!.logIndex),
        ),
      ).rejects.toMatchObject({ name: "VerificationError" });
    });

  const cases: readonly (readonly [string, string, string, () => Partial<Chain>])[] = [
    [
      "a round is missing",
      "Inconsistent",
      "number of rounds: 1 and 2",
      () => without((e) => "round" in e.args && e.args.round === 0),
    ],
    [
      "the last round is missing",
      "Inconsistent",
      "number of rounds: 1 and 2",
      () => without((e) => "round" in e.args && e.args.round === 1),
    ],
    [
      "the draw has another seed",
      "NotVerified",
      "round 1: the draw does not follow from the block's hash",
      () => withEvents((all) => all.map((e) => (e.name === "Drawn" ? { ...e, args: { ...e.args, seed: ZERO } } : e))),
    ],
    [
      "other seats were drawn",
      "NotVerified",
      "round 1: the wrong seats were drawn",
      () => withEvents((all) => all.map((e) => (e.name === "Drawn" ? { ...e, args: { ...e.args, selected: 1n } } : e))),
    ],
    ["a block has another hash", "Inconsistent", "assignment", () => ({ blockHash: async () => ZERO })],
    [
      "a paid seat has not proven",
      "Unproven",
      "round 2: pays seat 1 with 0 of 1 proofs",
      () => without((e) => isProofOf(e, 1n, 1)),
    ],
    [
      "a merged seat has not proven",
      "Unproven",
      "round 1: merges the update of seat 0 with 0 of 1 proofs",
      () => unpaid,
    ],
    [
      "a delivered update was left out of the merge",
      "NotVerified",
      "exactly the delivered updates",
      () =>
        withEvents((all) => all.map((e) => (e.name === "Merged" ? { ...e, args: { ...e.args, included: 0b10n } } : e))),
    ],
    ["a merge starts from another model", "NotVerified", "round 1: the merge starts from another model", otherBase],
    ["a merge has no points", "NotVerified", "round 1: the point is not on the curve", noPoints],
    ["a proof is of another step", "NotVerified", "is refused", otherProof],
    ["the points of a merge are swapped", "NotVerified", "round 1: the merge uses another update than seat 0", swapped],
    [
      "proofs came through another contract",
      "Unverifiable",
      "through another contract",
      () => ({ transactionInput: async () => undefined }),
    ],
    [
      "the metadata are others",
      "WrongTerms",
      "the metadata are not those",
      () =>
        withEvents((all) =>
          all.map((e) => (e.name === "JobPosted" ? { ...e, args: { ...e.args, meta: "0x00" as const } } : e)),
        ),
    ],
    [
      "the terms are others",
      "WrongTerms",
      "does not follow from its terms",
      () => withJob((job) => ({ ...job, spec: { ...job.spec, auditBps: 1 } })),
    ],
    [
      "the contract has another model",
      "Inconsistent",
      "the model",
      () => withJob((job) => ({ ...job, modelId: ZERO })),
    ],
    [
      "the contract has another pay",
      "Inconsistent",
      "the pay of round 1",
      () => withJob((job) => ({ ...job, state: { ...job.state, paidCompute: [0n, 0n] } })),
    ],
    ["the beacon is the test beacon of another chain", "WrongTerms", "does not follow", () => ({ chainId: 1 })],
    [
      "the beacon is unknown",
      "BadBeacon",
      "does not know",
      () => ({ addresses: { ...chain.addresses, testBeacon: chain.addresses.ledger } }),
    ],
  ];
  for (const [name, code, message, view] of cases)
    it(`fails when ${name}`, async () => {
      const failure = await verifying(view()).then(
        () => undefined,
        (error: unknown) => error as Error & { hint: string },
      );
      expect(failure?.message).toContain(message);
      expect(failure).toMatchObject({ code, hint: expect.stringMatching(/./) as string });
    });

  it("fails for another model file", async () => {
    const other = new Uint8Array([...tinyModel(), 0]);
    await expect(verifying({}, other)).rejects.toMatchObject({ code: "WrongModel" });
  });

  it("has nothing to say of jobs that never got workers or never paid", async () => {
    const { state } = await chain.job(jobId);
    const nobody = { ...withJob((job) => ({ ...job, batchSeed: ZERO })), ...without((e) => e.name === "Assigned") };
    await expect(verifying(nobody)).rejects.toMatchObject({ code: "NotAssigned" });
    const empty = {
      ...withJob((job) => ({ ...job, modelId: job.spec.modelId, state: { ...state, round: 0, merged: 0, fails: 0 } })),
      ...without((e) => "round" in e.args),
    };
    await expect(verifying(empty)).rejects.toMatchObject({ code: "NothingToVerify" });
  });
});
