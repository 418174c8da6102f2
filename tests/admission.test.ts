import { setTimeout as sleep } from "node:timers/promises";
import { answerRequests, ask } from "@skynet/network";
import { encode, fromHex, type Hex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testMeta, testSpec } from "../packages/contracts/src/test-chain.ts";
import { ADMISSION_PROTOCOL, askAdmission, serveAdmission } from "../packages/node/src/roles/admission.ts";
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

async function postJob(): Promise<Hex> {
  const { chain } = requester;
  const spec = testSpec(chain, { admitter: chain.address, seats: 2, minSeats: 1, averaging: 2 });
  return (await chain.post(spec, testMeta)).jobId;
}

const serve = (jobId: Hex, change: Partial<Parameters<typeof serveAdmission>[0]> = {}) =>
  serveAdmission({ ...requester, log: silent, jobId, allow: undefined, requirements: {}, ...change });

async function admissionFor({ host, chain }: Party, jobId: Hex, capabilities: typeof machine = machine) {
  return askAdmission({ host, chain, job: await chain.job(jobId), capabilities, signal: AbortSignal.timeout(20_000) });
}

const request = (jobId: Hex) => encode({ v: 1, job: fromHex(jobId), capabilities: new Uint8Array() });
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
    const admission = (await admissionFor(listed, jobId))!;
    await expect(stranger.chain.join(jobId, { admission })).rejects.toMatchObject({ code: "BadSignature" });
    await stop();
    await expect(admissionFor(listed, jobId)).rejects.toMatchObject({ code: "Refused" });
    stop = await serve(jobId, { allow: [listed.chain.address, stranger.chain.address] });
    expect(await admissionFor(listed, jobId)).toEqual(admission);
    await listed.chain.join(jobId, { admission });
    await stranger.chain.join(jobId, { admission: (await admissionFor(stranger, jobId))! });
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

  it("is nothing to ask for where everybody may join", async () => {
    const { jobId } = await requester.chain.post(testSpec(requester.chain, {}), testMeta);
    expect(await admissionFor(listed, jobId)).toBeUndefined();
  });
});
