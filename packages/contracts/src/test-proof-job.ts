import {
  batchIndex,
  committedId,
  drawnSegments,
  fromHex,
  JobPhase,
  listSeats,
  merklePath,
  merkleRoot,
  segmentsOf,
  stepContext,
  toHex,
  VerifierKind,
} from "@skynet/protocol";
import type { Hex, JobSpec, VerifierDescription } from "@skynet/protocol";
import { encodeAbiParameters, keccak256, stringToBytes } from "viem";
import * as TestVerifier from "../generated/TestVerifier.ts";
import type { Chain } from "./chain/types.ts";
import type { ChainJob, SeatUpdate, SlotAnswer } from "./chain/records.ts";
import type { TestChain } from "./test-chain.ts";
import { addPoints, CURVE_ORDER, encodePoints, generator, inverseScalar, multiplyPoint } from "./test-curve.ts";
import type { Point } from "./test-curve.ts";
import { postTestJob } from "./test-job.ts";
import type { TestJob } from "./test-job.ts";

const hash = (text: string): Hex => keccak256(stringToBytes(text));

export const verifierDescription: VerifierDescription = {
  kind: VerifierKind.STEP,
  circuitHash: hash("circuit"),
  srsHash: hash("reference string"),
  weightsTag: hash("layout"),
  weightBlocks: 2,
};

export const verifierInitcode: Hex = TestVerifier.bytecode;

/** The proof that TestVerifier accepts: the hash of the statement. */
export function proofFor(context: Hex, idIn: Hex, idOut: Hex, idData: Hex): Hex {
  const words = [context, idIn, idOut, idData] as const;
  return keccak256(
    encodeAbiParameters(
      [1, 2, 3, 4].map(() => ({ type: "bytes32" })),
      words,
    ),
  );
}

const known = new Map<string, Point>();

/** Points that stand for weights: multiples of the generator, different for each label and block. */
export function weightsOf(label: string, blocks = verifierDescription.weightBlocks): Point[] {
  return Array.from({ length: blocks }, (_, block) => {
    const name = `${label} ${block}`;
    const point = known.get(name) ?? multiplyPoint(generator, BigInt(hash(name)) % CURVE_ORDER);
    known.set(name, point);
    return point;
  });
}

export const idOfWeights = (points: readonly Point[]): Hex =>
  committedId(verifierDescription.weightsTag, fromHex(encodePoints(points)));

/** The average that the contract computes: (sum + (N - n) base) / N, block by block. */
export function averageOf(base: readonly Point[], updates: readonly (readonly Point[])[], nominal: number): Point[] {
  const missing = BigInt(nominal - updates.length);
  return base.map((own, block) => {
    const sum = updates.reduce((total, points) => addPoints(total, points[block]!), multiplyPoint(own, missing));
    return multiplyPoint(sum, inverseScalar(BigInt(nominal)));
  });
}

/** What a seat has done in a round: the id after each step (the first is the round's model) and the final weights. */
export interface SeatRound {
  readonly ids: readonly Hex[];
  readonly points: readonly Point[];
  readonly interior: readonly Uint8Array[];
  readonly stepsRoot: Hex;
  readonly idEnd: Hex;
}

export interface ProofJob extends TestJob {
  readonly spec: JobSpec;
  /** Weights that the present round starts from. */
  base(): readonly Point[];
  /** Deterministic work of a seat in the present round. */
  work(seat: number): Promise<SeatRound>;
  commitWork(seats?: readonly number[]): Promise<void>;
  /** Mines until the beacon has its value, and draws. */
  drawAudits(): Promise<void>;
  answer(seat: number, slot: number): Promise<SlotAnswer>;
  proveSeats(seats?: readonly number[]): Promise<void>;
  updates(seats: readonly number[]): Promise<SeatUpdate[]>;
  mergeWork(): Promise<void>;
  /** Commit, draw, prove, attest and merge by everybody. */
  provenRound(): Promise<void>;
}

/** Identifiers of the batches of the tests. */
export const batches = Array.from({ length: 5 }, (_, index) => fromHex(hash(`batch ${index}`)));

/** Terms of a proof-mode job: eight steps in four segments, of which two are audited. */
export function proofTerms(requester: Chain, verifierId: Hex): Partial<JobSpec> {
  return {
    mode: 1,
    auditSteps: 2,
    auditBps: 10_000,
    steps: 8,
    segment: 2,
    stake: 200n,
    nBatches: BigInt(batches.length),
    dataRoot: toHex(merkleRoot(batches)),
    stepVerifier: verifierId,
    beacon: requester.addresses.testBeacon,
    modelId: idOfWeights(weightsOf("model")),
  };
}

/** Weights that differ from the deterministic ones. */
export interface TestWeights {
  readonly base?: readonly Point[];
  /** Weights of a seat at the end of a round. */
  readonly of?: (round: number, seat: number) => readonly Point[];
}

/** Posts a job of party 0 in proof mode for the others. */
export async function postProofJob(
  chain: Pick<TestChain, "parties" | "advance">,
  change: Partial<JobSpec> = {},
  weights: TestWeights = {},
): Promise<ProofJob> {
  const { parties } = chain;
  const requester = parties[0]!;
  const { verifierId } = await requester.deployVerifier(verifierDescription, verifierInitcode);
  let base = weights.base ?? weightsOf("model");
  const terms = { ...proofTerms(requester, verifierId), modelId: idOfWeights(base), ...change };
  const job = await postTestJob(parties, terms);
  const { spec } = await job.view();
  const everybody = Array.from({ length: spec.seats }, (_, seat) => seat);
  const pointsOf = weights.of ?? ((round: number, seat: number) => weightsOf(`round ${round} seat ${seat}`));

  const included = (view: ChainJob) => listSeats(view.state.committed & view.state.delivered & ~view.state.slashed);

  const proofJob: ProofJob = {
    ...job,
    spec,
    base: () => base,
    work: async (seat) => {
      const { state, modelId } = await job.view();
      const points = pointsOf(state.round, seat);
      const inner = Array.from({ length: spec.steps - 1 }, (_, i) => hash(`${state.round} ${seat} ${i}`));
      const ids = [modelId, ...inner, idOfWeights(points)];
      const boundaries = Array.from({ length: segmentsOf(spec) - 1 }, (_, k) => ids[(k + 1) * spec.segment]!);
      const interior = boundaries.map(fromHex);
      return { ids, points, interior, stepsRoot: toHex(merkleRoot(interior)), idEnd: ids.at(-1)! };
    },
    commitWork: async (seats = everybody) => {
      for (const seat of seats) {
        const { idEnd, stepsRoot } = await proofJob.work(seat);
        await job.workers[seat]!.commit(job.jobId, idEnd, stepsRoot);
      }
    },
    drawAudits: async () => {
      await chain.advance(1);
      await requester.draw(job.jobId);
    },
    answer: async (seat, slot) => {
      const { state, seed, batchSeed } = await job.view();
      const { ids, interior, idEnd, stepsRoot } = await proofJob.work(seat);
      const segment = drawnSegments(seed, state.selected, spec, seat)[slot]!;
      const worker = state.workers[seat]!;
      const path = (boundary: number) =>
        boundary === 0 || boundary === segmentsOf(spec) ? [] : merklePath(interior, boundary - 1).map(toHex);
      const steps = Array.from({ length: spec.segment }, (_, i) => {
        const step = segment * spec.segment + i;
        const index = batchIndex(batchSeed, worker, state.round, step, spec.nBatches);
        const batchLeaf = toHex(batches[Number(index)]!);
        const context = stepContext({
          chainId: requester.chainId,
          jobBoard: requester.addresses.jobBoard,
          verifierId: spec.stepVerifier,
          jobId: job.jobId,
          worker,
          round: state.round,
          step,
          dataRoot: spec.dataRoot,
          batchIndex: index,
        });
        const [idIn, idOut] = [ids[step]!, ids[step + 1]!];
        const proof = proofFor(context, idIn, idOut, batchLeaf);
        return { idEnd: idOut, batchLeaf, batchPath: merklePath(batches, Number(index)).map(toHex), proof };
      });
      const [from, to] = [segment, segment + 1];
      return {
        seat,
        slot,
        idEnd,
        stepsRoot,
        idFrom: ids[from * spec.segment]!,
        pathFrom: path(from),
        idTo: ids[to * spec.segment]!,
        pathTo: path(to),
        steps,
      };
    },
    proveSeats: async (seats = everybody) => {
      for (const seat of seats)
        for (let slot = 0; slot < spec.auditSteps; slot++)
          await requester.prove(job.jobId, await proofJob.answer(seat, slot));
    },
    updates: (seats) =>
      Promise.all(
        seats.map(async (seat) => {
          const { idEnd, stepsRoot, points } = await proofJob.work(seat);
          return { seat, idEnd, stepsRoot, points: encodePoints(points) };
        }),
      ),
    mergeWork: async () => {
      const seats = included(await job.view());
      const worked = await Promise.all(seats.map((seat) => proofJob.work(seat)));
      await job.workers[0]!.mergeProven(job.jobId, encodePoints(base), await proofJob.updates(seats));
      base = averageOf(
        base,
        worked.map(({ points }) => points),
        spec.averaging,
      );
    },
    provenRound: async () => {
      await proofJob.commitWork();
      await proofJob.drawAudits();
      await proofJob.proveSeats();
      await job.attest();
      await proofJob.mergeWork();
    },
  };
  return proofJob;
}

/** A job whose seats are assigned and ready: the first round is open. */
export async function startProofJob(
  chain: Pick<TestChain, "parties" | "advance">,
  change: Partial<JobSpec> = {},
  weights: TestWeights = {},
): Promise<ProofJob> {
  const job = await postProofJob(chain, change, weights);
  await job.join();
  await job.ready();
  if ((await job.view()).state.phase !== JobPhase.COMMIT) throw new Error("the first round did not begin");
  return job;
}
