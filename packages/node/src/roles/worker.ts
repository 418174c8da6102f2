import type { RoutedChain } from "@skynet/contracts";
import {
  hasSeat,
  HoldResult,
  JobMode,
  JobPhase,
  SkyNetError,
  type Hex,
  type JobSpec,
  type JobView,
} from "@skynet/protocol";
import { deriveSecret } from "@skynet/network";
import { cidsOfContent } from "@skynet/storage";
import {
  checkAnswerCost,
  circuitOf,
  decodeMetadata,
  runWorkerJob,
  STATE_FILE,
  type Capabilities,
  type JobMetadata,
  type ModelShape,
  type Trainer,
  type WorkerResult,
} from "@skynet/swarm";
import { keptArtefacts } from "../artefacts/artefacts.ts";
import { forgetOldArtefacts, keepFinalModel, serveArtefacts } from "../artefacts/keep.ts";
import { shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { jobPin } from "../runtime/blocks.ts";
import { systemClock } from "../runtime/clock.ts";
import { applyForAdmission, proveForAdmission, type Solve } from "../admission/ask.ts";
import { solveChallenge } from "../admission/challenge.ts";
import { createGasPayment, type GasMode, type GasPayment } from "../sponsor/gas.ts";
import { withdrawPay } from "../sponsor/withdraw.ts";
import { startTrainer } from "../trainer/trainer.ts";
import { ensureRegistered } from "./capabilities.ts";
import { checkMoney, checkRequirements, checkSpeed, measureSteps, NotYet, type JoinLimits } from "./join-checks.ts";
import { checkModelSize, fetchBytes, MAX_MANIFEST_BYTES, MAX_MODEL_BYTES, updateBytes } from "./content.ts";
import { createJobChain } from "./job-chain.ts";
import { forgetJob } from "./job-cleanup.ts";
import { openJobFiles } from "./job-files.ts";
import { JobCircle } from "./job-circle.ts";
import { createJobNetwork, jobBlocks, JOBS_TOPIC } from "./job-network.ts";
import { openNode, type LocalNode, type NodeOptions } from "./local-node.ts";
import { createWorkerData } from "./worker-data.ts";
import { fundLedger } from "./token.ts";
import { checkBeacon, checkZeroKnowledge, compareVerifier, generateOwnVerifier } from "./verifier.ts";

export interface WorkerOptions extends NodeOptions, JoinLimits {
  /** Of this machine; published, and compared with what jobs require. */
  readonly capabilities: Capabilities;
  readonly once: boolean;
  /** Who pays the gas, see {@link GasMode}. */
  readonly gas: GasMode;
  /** After each job, everything that the payout address has in the Ledger goes to its wallet. */
  readonly withdraw: boolean;
  readonly ui: Ui;
}

/** The node of a worker: others may pay for what it writes to the chain. */
type WorkerNode = Omit<LocalNode, "chain"> & GasPayment;

/** How often the chain is asked for jobs; an announcement on the relay makes it sooner. */
const POLL_MS = 3000;
/** Pause before a job is tried again that could not be joined or worked on: a chain or a requester may come back. */
const RETRY_MS = 15_000;
/** How often models that were kept long enough are looked for. */
const FORGET_MS = 24 * 60 * 60 * 1000;
/** So long a requester may take to give again what a job that is over needs. */
const LEFT_MODEL_MS = 30_000;
/** Pause before a machine that was too slow is measured again: it may have been busy. */
const MEASURE_AGAIN_MS = 60_000;

/**
 * Takes job after job until the signal aborts. A job is joined only after its metadata and its model were fetched and
 * checked and real steps were measured; before the first one the node registers.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const node = withGas(await openNode(options, "worker"), options);
  const trainer = startTrainer({ threads: options.threads ?? 1, referenceString: options.referenceString });
  const { ui, signal } = options;
  try {
    const sponsored = options.gas !== "own" && (await node.chain.gasBalance()) === 0n;
    if (sponsored) ui.line("no ether in this wallet: a sponsor has to pay the gas of registration and work");
    const { capabilities } = options;
    ui.event("ready", { address: node.chain.address, multiaddrs: node.host.multiaddrs(), capabilities });
    ui.line(`worker ${node.chain.address} ready, waiting for jobs`);
    let forgottenMs = 0;
    await serveArtefacts(node, options.dataDir);
    const over = new Set<Hex>();
    const notBefore = new Map<Hex, number>();
    const refused = new Map<Hex, string>();
    const announcements = listenForJobs(node, signal);
    while (!signal.aborted) {
      if (Date.now() - forgottenMs >= FORGET_MS) {
        forgottenMs = Date.now();
        await forgetOldArtefacts(node, options.dataDir, forgottenMs).catch((error: unknown) =>
          node.log.warn({ error: String(error) }, "models that were kept long enough could not be removed"),
        );
      }
      const jobId = await nextJob(node, trainer, options, { over, notBefore, refused }).catch((error: unknown) => {
        if (!signal.aborted) node.log.warn({ error: String(error) }, "no job could be taken; trying on");
        return undefined;
      });
      if (jobId !== undefined) {
        const done = await workOn(node, trainer, jobId, options).then(
          () => true,
          (error: unknown) => {
            signal.throwIfAborted();
            node.log.warn({ jobId, error: String(error) }, "work on this job failed; trying again in a while");
            notBefore.set(jobId, Date.now() + RETRY_MS);
            return false;
          },
        );
        if (done && options.once) return;
        if (done) continue;
      }
      await announcements.next();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await trainer.close();
    await node.close();
  }
}

/** Waits until somebody announces a job, or for the next look at the chain. */
function listenForJobs(node: Pick<LocalNode, "host">, signal: AbortSignal): { next(): Promise<void> } {
  let announced = Promise.withResolvers<void>();
  node.host.subscribe(JOBS_TOPIC, () => announced.resolve(), { signal });
  return {
    next: async () => {
      const waiting = new AbortController();
      const pause = systemClock.sleep(POLL_MS, AbortSignal.any([signal, waiting.signal]));
      pause.catch(() => undefined);
      await Promise.race([pause, announced.promise]);
      waiting.abort();
      announced = Promise.withResolvers<void>();
    },
  };
}

function withGas(node: LocalNode, { gas: mode, ui, signal }: WorkerOptions): WorkerNode {
  const { host, chain, log } = node;
  const onSponsored = (event: Record<string, unknown>) => ui.event("sponsored", event);
  return { ...node, ...createGasPayment({ host, chain, log, mode, onSponsored, signal }) };
}

/** What a worker remembers of the jobs on the chain. */
interface JobMemory {
  readonly over: Set<Hex>;
  /** Milliseconds since the epoch. */
  readonly notBefore: Map<Hex, number>;
  /** Latest reasons, so that each is told once. */
  readonly refused: Map<Hex, string>;
}

/**
 * Id of a job that this worker has a seat in: one from before a restart, or one just joined. Jobs that can never be
 * joined any more are noted in `over`.
 */
async function nextJob(
  node: WorkerNode,
  trainer: Trainer,
  options: WorkerOptions,
  { over, notBefore, refused }: JobMemory,
): Promise<Hex | undefined> {
  for (const jobId of await node.chain.jobIds()) {
    if (over.has(jobId) || (notBefore.get(jobId) ?? 0) > Date.now()) continue;
    const { spec, state } = await node.chain.job(jobId);
    const seat = state.workers.indexOf(node.chain.address);
    if (seat >= 0 && (state.phase !== JobPhase.SETTLED || owes(state, seat))) return jobId;
    if (seat >= 0 || state.phase !== JobPhase.OPEN) {
      over.add(jobId);
      // Also after a crash. What this node has of a job without a seat in it, it may have as the requester.
      if (seat >= 0) {
        await keepLeftModel(node, trainer, jobId, options);
        await forgetJob(node, options.dataDir, jobId);
      } else if (spec.requester !== node.chain.address) node.blocks.unpin(jobPin(jobId));
      continue;
    }
    try {
      await joinJob(node, trainer, jobId, options);
      return jobId;
    } catch (error) {
      options.signal.throwIfAborted();
      notBefore.set(jobId, Date.now() + pauseAfter(error));
      const { code = "Unexpected", message } = error as SkyNetError;
      if (refused.get(jobId) === code + message) continue;
      refused.set(jobId, code + message);
      node.log.info({ jobId, code, reason: message }, "job not joined");
      options.ui.event(error instanceof NotYet ? "waiting" : "refused", { jobId, code, reason: message });
    }
  }
  return undefined;
}

/** How long a job is left alone that could not be joined, milliseconds. */
function pauseAfter(error: unknown): number {
  if (error instanceof NotYet) return error.waitMs;
  if (!(error instanceof SkyNetError)) return RETRY_MS;
  if (error.code === "TooSlow") return MEASURE_AGAIN_MS;
  return ["Unreachable", "Refused", "NotFound", "PriceTooLow"].includes(error.code) ? POLL_MS : RETRY_MS;
}

/** Whether a settled job still holds the stake or pay of a seat. */
function owes(state: JobView, seat: number): boolean {
  const hold = state.holdResult === HoldResult.PAID && state.round > 0 && !hasSeat(state.holdClaimed, seat);
  return hold || (state.claimedTo[seat] ?? 0) < state.round || !hasSeat(state.released, seat);
}

/** Of a job whose end this worker did not live to see: its weights are still on the disk, then. */
async function keepLeftModel(node: WorkerNode, trainer: Trainer, jobId: Hex, options: WorkerOptions): Promise<void> {
  const { dataDir, ui, signal } = options;
  const files = openJobFiles(dataDir, jobId);
  try {
    const isLeft = (await files.read(STATE_FILE)) !== undefined && (await keptArtefacts(dataDir, jobId)).length === 0;
    if (!isLeft) return;
    const limited = AbortSignal.any([signal, AbortSignal.timeout(LEFT_MODEL_MS)]);
    const { metadata, shape } = await loadJob(node, trainer, jobId, { ui, signal: limited });
    await keepFinalModel({ node, chain: node.chain, dataDir, jobId, metadata, shape, trainer, files });
  } catch (error) {
    signal.throwIfAborted();
    node.log.warn({ jobId, error: String(error) }, "the final model is not kept for the requester");
  }
}

async function joinJob(node: WorkerNode, trainer: Trainer, jobId: Hex, options: WorkerOptions): Promise<void> {
  const { chain } = node;
  const { ui, signal, capabilities } = options;
  const job = await chain.job(jobId);
  const { spec } = job;
  const { minPrice, waitMs } = await checkMoney(chain, jobId, options);
  const readyMs = Date.now() + waitMs;
  await checkRequirements(chain, decodeMetadata(await chain.meta(jobId)), capabilities);
  const asking = { host: node.host, chain, job, capabilities, signal };
  const application = await applyForAdmission(asking);
  const { metadata, shape } = await loadJob(node, trainer, jobId, options);
  await checkVerification(node, trainer, spec, metadata, shape);
  const measured = await measureSteps(trainer, shape, metadata, spec);
  checkSpeed(spec, measured);
  const solve: Solve = (terms) => solveChallenge(trainer, shape, metadata, terms);
  const admission = application === "prove" ? await proveForAdmission(asking, solve) : application;
  await systemClock.sleep(Math.max(0, readyMs - Date.now()), signal);
  const paid = node.chainFor(jobId);
  await ensureRegistered(paid, capabilities);
  await ensureStake(paid, spec.token, spec.stake);
  await paid.join(jobId, { minPrice, ...(admission ? { admission } : {}) });
  ui.event("joined", { jobId, ...measured });
  ui.line(`joined job ${shortId(jobId)} (${measured.stepMs.toFixed(2)} ms a step)`);
}

async function ensureStake(chain: RoutedChain, token: Hex, needed: bigint): Promise<void> {
  const { freeStake } = await chain.balances(token);
  if (freeStake >= needed) return;
  const missing = needed - freeStake;
  await fundLedger(chain, token, missing);
  await chain.addStake(token, missing);
}

interface LoadedJob {
  readonly metadata: JobMetadata;
  readonly shape: ModelShape;
  readonly manifest: Uint8Array;
}

/**
 * Metadata and model of a job, checked against the hash that the contract holds, loaded into the trainer.
 * @throws SkyNetError `NoZeroKnowledge`, and what fetching and loading throw
 */
async function loadJob(
  node: WorkerNode,
  trainer: Trainer,
  jobId: Hex,
  { ui, signal }: Pick<WorkerOptions, "ui" | "signal">,
): Promise<LoadedJob> {
  const { spec } = await node.chain.job(jobId);
  const { requester } = spec;
  const fetch = (cid: string, what: string, maxBytes: number) => {
    const onProgress = (doneBytes: number, totalBytes: number) =>
      ui.progress(`job ${shortId(jobId)}: fetching ${what}`, doneBytes, totalBytes);
    return fetchBytes(node, cid, { from: [requester], maxBytes, signal, onProgress });
  };
  const metadata = decodeMetadata(await node.chain.meta(jobId));
  const circuit = circuitOf(metadata.circuit ?? {});
  checkZeroKnowledge(node.chain, circuit);
  const model = await fetch(metadata.modelCid, "the model", MAX_MODEL_BYTES);
  const shape = await trainer.load(model, {
    batchSize: metadata.batchSize,
    learningRate: metadata.learningRate,
    averaging: spec.averaging,
    proof: metadata.verification === "proof" ? { chainId: node.chain.chainId, circuit } : undefined,
  });
  checkModelSize(model.length, shape);
  const manifest = await fetch(metadata.manifestCid, "the list of batches", MAX_MANIFEST_BYTES);
  return { metadata, shape, manifest };
}

/**
 * What a worker of a proven job must know before it locks a stake: that the contract on chain accepts exactly the proofs
 * of this model, and that nobody chooses the audits.
 * @throws SkyNetError `WrongVerifier`, `BadBeacon`, `BadTerms`, `AnswerTooLarge`, `AnswerTooDear`
 */
async function checkVerification(
  { chain }: WorkerNode,
  trainer: Trainer,
  spec: JobSpec,
  { verification }: JobMetadata,
  { proof }: ModelShape,
): Promise<void> {
  if ((spec.mode === JobMode.PROOF) !== (verification === "proof"))
    throw new SkyNetError("BadTerms", "the job's terms and its metadata disagree about how steps are verified");
  if (!proof) return;
  checkAnswerCost(proof, spec);
  checkBeacon(chain, spec);
  await compareVerifier(chain, await generateOwnVerifier(trainer, proof), spec.stepVerifier);
}

async function workOn(node: WorkerNode, trainer: Trainer, jobId: Hex, options: WorkerOptions): Promise<void> {
  const { ui, signal } = options;
  const chain = createJobChain(node.chain, jobId);
  const { spec } = await node.chain.job(jobId);
  const { requester } = spec;
  const { metadata, shape, manifest } = await loadJob(node, trainer, jobId, options);
  const circle = new JobCircle({ jobId, self: node.chain.address, maxUpdateBytes: updateBytes(shape) });
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const network = await createJobNetwork(node, circle, both);
  const blocks = jobBlocks(node, jobId);
  const files = openJobFiles(options.dataDir, jobId);
  for (const cid of [metadata.modelCid, metadata.manifestCid])
    node.blocks.pin(jobPin(jobId), await cidsOfContent(node.blocks, cid));
  const data = createWorkerData({
    node,
    chain,
    circle,
    blocks,
    requester,
    metadata,
    shape,
    manifest,
    dataRoot: spec.dataRoot,
    signal: both,
  });
  let result: WorkerResult;
  try {
    result = await runWorkerJob(
      {
        chain,
        network,
        blocks,
        files,
        trainer,
        clock: systemClock,
        log: node.log,
        signal: both,
        openJob: data.open,
        blindingSecret: deriveSecret(node.host.identity, "blinders"),
      },
      {
        shape,
        initialSeed: metadata.initialSeed,
        onProgress: (event) => {
          ui.event(event.type, { jobId, ...event });
          if (event.type === "unfit") ui.line(`not ready for job ${shortId(jobId)}: ${event.reason}`);
          if (event.type === "training") ui.progress(`round ${event.round + 1}: local steps`, event.step, event.steps);
        },
      },
    );
  } finally {
    stop.abort();
    data.forget();
  }
  const { dataDir } = options;
  await keepFinalModel({ node, chain: node.chain, dataDir, jobId, metadata, shape, trainer, files });
  await forgetJob(node, dataDir, jobId);
  const { sentBytes, receivedBytes } = node.host.traffic();
  ui.event("finished", { jobId, ...result, sentBytes, receivedBytes, fetchedBatches: data.fetched() });
  ui.line(`job ${shortId(jobId)} ${result.outcome.toLowerCase()}`);
  if (options.withdraw) await withdrawPay(node, jobId, spec.token, options);
}
