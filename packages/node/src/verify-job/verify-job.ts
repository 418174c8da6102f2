import type { Chain, ChainJobEvent } from "@skynet/contracts";
import { parseModel } from "@skynet/onnx";
import {
  compileTraining,
  compileVerifier,
  createProofSystem,
  generateVerifier,
  initialWeights,
  type ProofSystem,
  stepCircuit,
} from "@skynet/proof";
import {
  fromHex,
  hasSeat,
  type Hex,
  JobMode,
  JobPhase,
  keccak256,
  listSeats,
  matchesCid,
  toHex,
  VerifierKind,
  verifierIdOf,
  word,
} from "@skynet/protocol";
import type { JobMetadata } from "@skynet/swarm";
import { loadReferenceString } from "../trainer/reference-string.ts";
import { Audit, type RoundEvents, VerificationError } from "./audit.ts";
import { checkMerge } from "./merge.ts";
import { checkDraw } from "./draw.ts";
import { checkAnswer } from "./answer.ts";

export interface VerifyJobOptions {
  readonly chain: Chain;
  readonly jobId: Hex;
  readonly metadata: JobMetadata;
  /** The ONNX file that the metadata name. */
  readonly model: Uint8Array;
  readonly srs?: string;
  readonly threads?: number;
  readonly onProgress?: (label: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What was found about one round. */
export interface VerifiedRound {
  readonly round: number;
  readonly committed: number;
  readonly drawn: number;
  readonly proofs: number;
  readonly paid: number;
  readonly merged: boolean;
}

export interface VerifiedJob {
  readonly jobId: Hex;
  readonly verifierId: Hex;
  readonly rounds: readonly VerifiedRound[];
  readonly proofs: number;
  readonly modelId: Hex;
}

/**
 * Recomputes from the chain alone that every paid round of a job was drawn, proven and merged correctly: the model is
 * compiled and its verifier generated again, initial weights are committed again, draws follow from block hashes, every
 * proof is verified by this machine, and every average is added up again from the points in the transactions.
 * @throws VerificationError naming the round and what is wrong
 */
export async function verifyJob(options: VerifyJobOptions): Promise<VerifiedJob> {
  const { chain, jobId, metadata, onProgress } = options;
  const { spec } = await chain.job(jobId);
  if (spec.mode !== JobMode.PROOF)
    throw new VerificationError("NotProven", "the job is verified by a quorum of its workers: there are no proofs", {
      hint: "Only jobs in proof mode can be verified from the chain.",
    });
  onProgress?.("Compiling the model", 0, 1);
  const system = await openSystem(options, spec.averaging);
  try {
    await checkVerifier(chain, system, spec.stepVerifier);
    const initial = await system.commitWeights(initialWeights(system.circuit.program, metadata.initialSeed));
    if (system.weightsId(initial) !== spec.modelId)
      throw new VerificationError("WrongModel", "the initial weights do not follow from the job's seed");
    const events = await chain.events({ jobId });
    const audit = await makeAudit(options, system, events);
    const rounds = await checkRounds(audit, options);
    return {
      jobId,
      verifierId: spec.stepVerifier,
      rounds,
      proofs: rounds.reduce((sum, { proofs }) => sum + proofs, 0),
      modelId: audit.modelId,
    };
  } finally {
    await system.close();
  }
}

async function openSystem(
  { chain, metadata, model, srs, threads }: VerifyJobOptions,
  workers: number,
): Promise<ProofSystem> {
  if (!(await matchesCid(metadata.modelCid, model)))
    throw new VerificationError("WrongModel", "the model file is not the one that the job names", {
      hint: `Its CID must be ${metadata.modelCid}.`,
    });
  const { batchSize, learningRate } = metadata;
  const { blockBits, tableBits } = metadata.circuit ?? {};
  const circuit = stepCircuit(compileTraining(parseModel(model), { batchSize, learningRate, workers }), {
    ...(blockBits === undefined ? {} : { blockBits }),
    ...(tableBits === undefined ? {} : { tableBits }),
  });
  const string = await loadReferenceString(srs, circuit.settings.blockBits, chain.chainId);
  return createProofSystem(circuit, string, { threads: threads ?? 2 });
}

/** The verifier that the job names is the one that this machine generates. */
async function checkVerifier(chain: Chain, system: ProofSystem, verifierId: Hex): Promise<void> {
  const { key, circuit } = system;
  const { runtime } = await compileVerifier((await generateVerifier(key)).source);
  const own = verifierIdOf(
    {
      kind: VerifierKind.STEP,
      circuitHash: key.circuitHash,
      srsHash: key.srsHash,
      weightsTag: toHex(key.weightsTag),
      weightBlocks: circuit.tensors[0]!.blocks,
    },
    toHex(keccak256(fromHex(runtime))),
  );
  if (own !== verifierId)
    throw new VerificationError("WrongVerifier", "the job's verifier contract is not the one of its model", {
      hint: "The requester may have used a verifier that accepts or refuses what it should not.",
    });
  await chain.verifierEntry(verifierId);
}

async function makeAudit(
  { chain, jobId, signal }: VerifyJobOptions,
  system: ProofSystem,
  events: readonly ChainJobEvent[],
): Promise<Audit> {
  const { spec } = await chain.job(jobId);
  const assigned = events.find((event) => event.name === "Assigned");
  const workers = (assigned?.args.workers ?? []) as readonly Hex[];
  const seed =
    assigned === undefined
      ? undefined
      : toHex(
          keccak256(
            fromHex(jobId),
            fromHex(await chain.blockHash(assigned.blockNumber - 1n)),
            keccak256(...[32n, BigInt(workers.length), ...workers.map(BigInt)].map(word)),
          ),
        );
  const { at } = await chain.verifierEntry(spec.stepVerifier);
  return new Audit({ chain, jobId, spec, system, workers, batchSeed: seed, verifier: at, signal });
}

async function checkRounds(audit: Audit, { chain, jobId, onProgress }: VerifyJobOptions): Promise<VerifiedRound[]> {
  const rounds = groupRounds(await chain.events({ jobId }));
  const total = rounds.reduce((sum, { proven }) => sum + proven.length, 0);
  const verified: VerifiedRound[] = [];
  let done = 0;
  for (const round of rounds) {
    audit.startRound(round);
    const selected = round.drawn === undefined ? 0n : await checkDraw(audit, round);
    let proofs = 0;
    for (const event of round.proven) {
      onProgress?.("Verifying proofs", done++, total);
      proofs += await checkAnswer(audit, round, event);
    }
    checkPay(audit, round, selected);
    if (round.merged !== undefined) await checkMerge(audit, round, round.merged);
    verified.push({
      round: round.round,
      committed: round.commits.size,
      drawn: listSeats(selected).length,
      proofs,
      paid: listSeats(round.paidCompute).length,
      merged: round.merged !== undefined,
    });
  }
  onProgress?.("Verifying proofs", total, total);
  return verified;
}

/** Whoever was drawn is paid only with every slot proven; nobody is paid without a commit. */
function checkPay({ spec }: Audit, round: RoundEvents, selected: bigint): void {
  for (const seat of listSeats(round.paidCompute)) {
    if (!round.commits.has(seat))
      throw new VerificationError("Unproven", `round ${round.round} pays seat ${seat}, which did not commit`);
    if (round.drawn === undefined)
      throw new VerificationError("Unproven", `round ${round.round} is paid without a draw`);
    if (!hasSeat(selected, seat)) continue;
    const slots = new Set(
      round.proven.filter(({ args }) => Number(args.seat) === seat).map(({ args }) => Number(args.slot)),
    );
    if (slots.size !== spec.auditSteps)
      throw new VerificationError(
        "Unproven",
        `round ${round.round} pays seat ${seat} with ${slots.size} of ${spec.auditSteps} proofs`,
      );
  }
}

/** Events by round, in the order of the chain. */
function groupRounds(events: readonly ChainJobEvent[]): RoundEvents[] {
  const rounds = new Map<number, RoundEvents>();
  const of = (round: number): RoundEvents => {
    if (!rounds.has(round))
      rounds.set(round, { round, commits: new Map(), proven: [], delivered: 0n, paidCompute: 0n });
    return rounds.get(round)!;
  };
  for (const event of events) {
    if (event.name === "Committed") of(event.args.round).commits.set(Number(event.args.seat), event.args);
    else if (event.name === "PhaseChanged" && event.args.phase === JobPhase.DRAW)
      of(event.args.round).closedAt = event.blockNumber;
    else if (event.name === "Drawn") of(event.args.round).drawn = event.args;
    else if (event.name === "Proven") of(event.args.round).proven.push(event);
    else if (event.name === "Delivered") of(event.args.round).delivered = event.args.delivered;
    else if (event.name === "Merged") of(event.args.round).merged = event;
    else if (event.name === "RoundEnded") of(event.args.round).paidCompute = event.args.paidCompute;
  }
  return [...rounds.values()].sort((a, b) => a.round - b.round);
}
