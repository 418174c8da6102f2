import { setTimeout as sleep } from "node:timers/promises";
import type { Admission } from "@skynet/contracts";
import { answerRequests, ask } from "@skynet/network";
import { startTrainer } from "@skynet/node";
import { encode, fromHex, type Hex, type JobSpec } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testMeta, testSpec } from "../packages/contracts/src/test-chain.ts";
import { applyForAdmission, proveForAdmission, type Solve } from "../packages/node/src/admission/ask.ts";
import { solveChallenge } from "../packages/node/src/admission/challenge.ts";
import { ADMISSION_PROTOCOL, decodeAnswer } from "../packages/node/src/admission/messages.ts";
import { serveAdmission } from "../packages/node/src/admission/serve.ts";
import { tinyCircuit, tinyModel } from "./support/tiny-job.ts";
import { hasHeard, startScene, type Party, type SponsoringScene } from "./support/sponsoring.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {} };
const machine = { version: 1, memoryGiB: 8, cores: 4 } as const;

let scene: SponsoringScene;
let requester: Party;
let listed: Party;
let stranger: Party;

beforeAll(async () => {
  scene = await startScene();
  requester = await scene.node(0, "requester");
  [listed, stranger] = [await scene.newcomer(1, true), await scene.newcomer(2, true)];
  for (const { chain } of [listed, stranger]) await scene.net.anvil.setBalance(chain.address, 10n ** 18n);
  for (const party of [listed, stranger]) await hasHeard(party, [requester]);
}, 60_000);
afterAll(() => scene.stop());

async function postJob(change: Partial<JobSpec> = {}): Promise<Hex> {
  const { chain } = requester;
  const spec = testSpec(chain, { admitter: chain.address, seats: 2, minSeats: 1, averaging: 2, ...change });
  return (await chain.post(spec, testMeta)).jobId;
}

const serve = (jobId: Hex, change: Partial<Parameters<typeof serveAdmission>[0]> = {}) =>
  serveAdmission({ ...requester, log: silent, jobId, allow: undefined, requirements: {}, ...change });

const asking = async ({ host, chain }: Party, jobId: Hex) => ({
  host,
  chain,
  job: await chain.job(jobId),
  capabilities: machine,
  signal: AbortSignal.timeout(20_000),
});
const admissionFor = async (party: Party, jobId: Hex): Promise<Admission> => {
  const application = await applyForAdmission(await asking(party, jobId));
  if (application === undefined || application === "prove") throw new Error("no admission");
  return application;
};

const request = (jobId: Hex, t = "apply") => encode({ v: 1, t, job: fromHex(jobId), capabilities: new Uint8Array() });
const askRaw = ({ host }: Party, bytes: Uint8Array) =>
  ask(host, requester.chain.address, ADMISSION_PROTOCOL, bytes, { timeoutMs: 5000, maxAnswerBytes: 4096 });

describe("admission", () => {
  it("lets the workers on the list join, and nobody else, also after a restart of the admitter", async () => {
    const jobId = await postJob();
    let stop = await serve(jobId, { allow: [listed.chain.address] });
    await expect(listed.chain.join(jobId)).rejects.toMatchObject({ code: "BadAdmission" });
    await expect(admissionFor(stranger, jobId)).rejects.toMatchObject({
      code: "NotAdmitted",
      message: expect.stringMatching(/NotListed/) as unknown,
    });
    const admission = await admissionFor(listed, jobId);
    await expect(stranger.chain.join(jobId, { admission })).rejects.toMatchObject({ code: "BadSignature" });
    await stop();
    await expect(admissionFor(listed, jobId)).rejects.toMatchObject({ code: "Refused" });
    stop = await serve(jobId, { allow: [listed.chain.address, stranger.chain.address] });
    expect(await admissionFor(listed, jobId)).toEqual(admission);
    await listed.chain.join(jobId, { admission });
    await stranger.chain.join(jobId, { admission: await admissionFor(stranger, jobId) });
    expect((await requester.chain.job(jobId)).state.workers).toHaveLength(2);
    await expect(admissionFor(listed, jobId)).rejects.toMatchObject({
      message: expect.stringMatching(/NotOpen/) as unknown,
    });
    await stop();
  }, 60_000);

  it("looks at what a worker declares and at its past", async () => {
    const jobId = await postJob();
    const stop = await serve(jobId, { requirements: { cores: 8, reputation: { rounds: 1 } } });
    const reason = /8 cores are wanted, not 4; 1 paid rounds are wanted, not 0/;
    await expect(admissionFor(listed, jobId)).rejects.toMatchObject({
      message: expect.stringMatching(reason) as unknown,
    });
    await stop();
    const easy = await serve(jobId, { requirements: { cores: 4 } });
    expect(await admissionFor(listed, jobId)).toBeDefined();
    await easy();
  }, 60_000);

  it("drops what is no request, refuses other jobs, and slows down who asks too often", async () => {
    const [jobId, other] = [await postJob(), await postJob()];
    const stop = await serve(jobId);
    const drops = () => requester.host.drops.snapshot().badStream ?? 0;
    const before = drops();
    await expect(askRaw(stranger, Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "Unreachable" });
    await expect(askRaw(stranger, new Uint8Array(5000))).rejects.toMatchObject({ code: "Unreachable" });
    await expect(askRaw(stranger, encode({ v: 2 }))).rejects.toMatchObject({ code: "Unreachable" });
    expect(drops() - before).toBe(3);
    await expect(admissionFor(stranger, other)).rejects.toMatchObject({
      message: expect.stringMatching(/NotMyJob/) as unknown,
    });
    // Six at once are answered; the oversized one was not counted.
    for (let i = 0; i < 3; i++) await askRaw(stranger, request(jobId));
    await expect(admissionFor(stranger, jobId)).rejects.toMatchObject({
      message: expect.stringMatching(/RateLimited/) as unknown,
    });
    expect(await admissionFor(listed, jobId)).toBeDefined();
    await sleep(5500);
    expect(await admissionFor(stranger, jobId)).toBeDefined();
    await stop();
  }, 60_000);

  it("is not taken from an admitter that lies", async () => {
    const jobId = await postJob();
    const { chain, host } = requester;
    const expiry = (await chain.now()) + 600;
    const answers = [
      Uint8Array.of(9),
      // For another worker, and one that is over.
      ...(await Promise.all(
        [
          { worker: stranger.chain.address, at: expiry },
          { worker: listed.chain.address, at: expiry - 700 },
        ].map(async ({ worker, at }) => {
          const signature = fromHex(await chain.signAdmit({ jobId, worker, expiry: BigInt(at) }));
          return encode({ t: "admitted", expiry: at, signature });
        }),
      )),
      encode({ t: "admitted", expiry, signature: new Uint8Array(65) }),
    ];
    for (const answer of answers) {
      const stop = await answerRequests(
        host,
        ADMISSION_PROTOCOL,
        { maxRequestBytes: 2048, stallMs: 5000 },
        async () => answer,
      );
      await expect(admissionFor(listed, jobId)).rejects.toMatchObject({ code: "BadAdmission" });
      await stop();
    }
  }, 60_000);

  it("asks for a proof of a step that nobody can have made before, in time", async () => {
    const initialSeed = new Uint8Array(32).fill(5);
    const settings = { batchSize: 16, learningRate: 0.5, averaging: 2 };
    const trainers = [startTrainer({ threads: 1 }), startTrainer({ threads: 1 })] as const;
    try {
      const proofSettings = { chainId: requester.chain.chainId, circuit: tinyCircuit };
      const shapes = await Promise.all(
        trainers.map((all) => all.load(tinyModel(), { ...settings, proof: proofSettings })),
      );
      const { proof, ...shape } = shapes[0]!;
      const [admitter, worker] = trainers;
      const { id: modelId } = await admitter.identify(await admitter.initialWeights(initialSeed));
      const jobId = await postJob({ modelId });
      const challenge = { seconds: 20, trainer: admitter, shape: { ...shape, proof: proof! }, batchSize: 16 };
      let stop = await serve(jobId, { challenge });
      const solve: Solve = (terms) => solveChallenge(worker, shapes[1]!, { ...settings, initialSeed }, terms);
      const prove = async (party: Party, how: Solve) => proveForAdmission(await asking(party, jobId), how);
      const refused = (reason: RegExp) => ({ code: "NotAdmitted", message: expect.stringMatching(reason) as unknown });

      expect(await applyForAdmission(await asking(listed, jobId))).toBe("prove");
      const admission = await prove(listed, solve);
      await listed.chain.join(jobId, { admission });
      // Who has shown it once need not do so again.
      expect(await admissionFor(listed, jobId)).toEqual(admission);

      // For another batch, in another worker's name, from other weights, altered, and one that answers nothing.
      const other = new Uint8Array(32).fill(1);
      await expect(prove(stranger, (terms) => solve({ ...terms, nonce: other }))).rejects.toMatchObject(
        refused(/WrongProof/),
      );
      const name = listed.chain.address;
      await expect(prove(stranger, (terms) => solve({ ...terms, worker: name }))).rejects.toMatchObject(
        refused(/WrongProof/),
      );
      await stop();
      stop = await serve(jobId, { challenge });
      const elsewhere: Solve = (terms) =>
        solveChallenge(worker, shapes[1]!, { ...settings, initialSeed: other }, terms);
      await expect(prove(stranger, elsewhere)).rejects.toMatchObject(refused(/WrongProof/));
      const altered: Solve = async (terms) => {
        const step = await solve(terms);
        step.proof[100]! ^= 1;
        return step;
      };
      await expect(prove(stranger, altered)).rejects.toMatchObject(refused(/WrongProof/));
      await stop();
      stop = await serve(jobId, { challenge: { ...challenge, seconds: 1 } });
      const step = { idEnd: new Uint8Array(32), batchLeaf: new Uint8Array(32), proof: new Uint8Array(9) };
      const unasked = encode({ v: 1, t: "proof", job: fromHex(jobId), capabilities: new Uint8Array(), ...step });
      expect(decodeAnswer(await askRaw(stranger, unasked))).toMatchObject({ t: "refused", code: "NotChallenged" });
      const late: Solve = async (terms) => {
        await sleep(1200);
        return solve(terms);
      };
      await expect(prove(stranger, late)).rejects.toMatchObject(refused(/TooSlow/));
      await stop();
    } finally {
      await Promise.all(trainers.map((trainer) => trainer.close()));
    }
  }, 120_000);

  it("is nothing to ask for where everybody may join", async () => {
    const { jobId } = await requester.chain.post(testSpec(requester.chain, {}), testMeta);
    expect(await applyForAdmission(await asking(listed, jobId))).toBeUndefined();
  });
});
