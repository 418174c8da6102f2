import path from "node:path";
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { ChainError, DEVELOPMENT_CHAIN_ID, type Chain } from "@skynet/contracts";
import { checkSpec, fromHex, keccak256, SkyNetError, toHex, word, type Hex, type JobSpec } from "@skynet/protocol";
import {
  cidsOfContent,
  getContent,
  parseManifest,
  putContent,
  readContent,
  type PreparedDataset,
} from "@skynet/storage";
import {
  encodeMetadata,
  requirementsOf,
  runRequesterJob,
  type Address,
  type JobSecrets,
  type KeyHolders,
  type ProofSettings,
  type RequesterResult,
  type Trainer,
} from "@skynet/swarm";
import { formatAmount, shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { createCidFetcher, type FetchCid } from "../data/fetch-cid.ts";
import type { UrlChoices } from "../data/prepare.ts";
import type { JobFile } from "../job-file.ts";
import { ownDataKey } from "../remote/service-keys.ts";
import { openGateways, tellRetries } from "../remote/services.ts";
import type { Summary } from "../report/summary.ts";
import { artefactKey } from "../artefacts/artefacts.ts";
import { createCheckpoints } from "../artefacts/keep.ts";
import { serveAdmission } from "../admission/serve.ts";
import { jobPin, pinnedPuts } from "../runtime/blocks.ts";
import { systemClock } from "../runtime/clock.ts";
import { readInputFile } from "../runtime/files.ts";
import { ownFolders } from "../runtime/home.ts";
import { limitsForJob } from "../sponsor/limits.ts";
import { startSponsor, type Sponsor } from "../sponsor/sponsor.ts";
import { startTrainer } from "../trainer/trainer.ts";
import { checkModelSize, openContent, updateBytes } from "./content.ts";
import { createJobChain } from "./job-chain.ts";
import { forgetOverJobs, forgetPostedJob, forgetUnusedData } from "./job-cleanup.ts";
import { openJobFiles } from "./job-files.ts";
import { JobCircle } from "./job-circle.ts";
import { createJobNetwork, jobBlocks, JOBS_TOPIC } from "./job-network.ts";
import { previewBudget } from "./budget.ts";
import {
  amountText,
  checkBalance,
  checkStake,
  circuitOfJob,
  moneyTerms,
  specOf,
  tokenOf,
  type PreparedModel,
} from "./job-terms.ts";
import { openNode, type LocalNode, type NodeOptions } from "./local-node.ts";
import { awaitPending } from "./pending.ts";
import { findUnfinishedJob, savePostedJob, settingsHash, type PostedJob } from "./posted-job.ts";
import { evaluateOn, prepareData, publishTrainingSet } from "./requester-data.ts";
import { showProgress } from "./requester-progress.ts";
import { writeResults } from "./requester-results.ts";
import { fundLedger } from "./token.ts";
import { checkZeroKnowledge, ensureVerifier, generateOwnVerifier } from "./verifier.ts";

export interface RequesterOptions extends NodeOptions, UrlChoices {
  readonly job: JobFile;
  /** Folder for the report and the model; the job's own folder by default. */
  readonly resultDir?: string;
  /** Folder for commitments of data, which later jobs on the same data use again; in the data folder by default. */
  readonly cacheDir?: string;
  /** Nodes to ask for data that the job names by a CID; by default those that are online. */
  readonly from?: readonly Address[] | undefined;
  /** Asked before the budget is escrowed; an error stops the post. */
  readonly confirm?: (question: string) => Promise<void>;
  readonly ui: Ui;
}

/** Shortest window on public chains, seconds. */
const PUBLIC_MIN_WINDOW = 900;

/**
 * Posts the job, or finds the unfinished one with the same settings, leads it to its end and writes the results.
 * @throws SkyNetError with a code for every wrong input; nothing is escrowed before everything was checked
 */
export async function runRequester(options: RequesterOptions): Promise<Summary> {
  const node = await openNode(options, "requester");
  const { threads = availableParallelism(), referenceString } = options;
  const trainer = startTrainer({ threads, referenceString });
  let sponsor: Sponsor | undefined;
  try {
    await forgetOverJobs(node, options.dataDir);
    const prepared = await prepareModel(node, trainer, options);
    if (options.job.gas === "sponsored") sponsor = await sponsorOwnJobs(node, prepared, options);
    const data = await prepareData(options.job, prepared.shape, { ...options, fetchCid: fetchCidOf(node, options) });
    const posted = await findOrPostJob(node, trainer, prepared, data, options);
    await admitWorkers(node, trainer, prepared, posted.jobId, options.job);
    const result = await lead(node, trainer, prepared, data, posted, options);
    const summary = await writeResults(node, trainer, posted, data, result, options);
    await forgetPostedJob(node, options.dataDir, posted);
    await sponsor?.linger();
    return summary;
  } finally {
    await trainer.close();
    await node.close();
  }
}

/**
 * Posts the job, or finds the unfinished one with the same settings, and returns. `runRequester` with the same settings
 * leads it on: until then nobody serves the job's files.
 */
export async function postJob(options: RequesterOptions): Promise<PostedJob> {
  const node = await openNode(options, "requester");
  const { threads = availableParallelism(), referenceString } = options;
  const trainer = startTrainer({ threads, referenceString });
  try {
    await forgetOverJobs(node, options.dataDir);
    const prepared = await prepareModel(node, trainer, options);
    const data = await prepareData(options.job, prepared.shape, { ...options, fetchCid: fetchCidOf(node, options) });
    return await findOrPostJob(node, trainer, prepared, data, options);
  } finally {
    await trainer.close();
    await node.close();
  }
}

const fetchCidOf = (node: LocalNode, { dataDir, from, ui }: RequesterOptions): FetchCid =>
  createCidFetcher({
    folders: [...new Set([dataDir, ...ownFolders()])],
    node: async () => node,
    from,
    gateways: () => openGateways(undefined, tellRetries(ui)),
    identity: async () => (await ownDataKey(node.host.identity)).identity,
    ui,
  });

/** Until the node closes. */
async function admitWorkers(
  { host, chain, log }: LocalNode,
  trainer: Trainer,
  { shape }: PreparedModel,
  jobId: Hex,
  { requirements, workers, training }: JobFile,
): Promise<void> {
  if (workers.admission !== "requester") return;
  const { proof } = shape;
  const challenge =
    workers.challenge === undefined || proof === undefined
      ? undefined
      : { seconds: workers.challenge, trainer, shape: { ...shape, proof }, batchSize: training.batchSize };
  await serveAdmission({ host, chain, log, jobId, allow: workers.allow, requirements, challenge });
}

/** The workers of this requester's jobs need no ether; ready before a job is posted. */
function sponsorOwnJobs(
  { host, chain, log }: LocalNode,
  { shape }: PreparedModel,
  { dataDir, job, signal }: RequesterOptions,
): Promise<Sponsor> {
  const chooses = (_: Hex, { requester }: JobSpec) => requester === chain.address;
  const limits = limitsForJob(job, shape.proof);
  return startSponsor({ host, chain, log, signal, file: path.join(dataDir, "sponsor.json"), chooses, limits });
}

const powerOfTwoAbove = (value: number): number => 2 ** Math.ceil(Math.log2(value));

async function prepareModel(node: LocalNode, trainer: Trainer, { job, ui }: RequesterOptions): Promise<PreparedModel> {
  const proof = job.verification.mode === "proof" ? proofSettingsOf(node, job) : undefined;
  await checkStake(node, job);
  const model = await readInputFile(job.model, "the model");
  const averaging = powerOfTwoAbove(job.workers.count);
  const { batchSize, learningRate, seed } = job.training;
  const shape = await trainer.load(model, { batchSize, learningRate, averaging, proof });
  const initialSeed = keccak256(new TextEncoder().encode("skynet/1/initial"), word(seed));
  checkModelSize(model.length, shape);
  const initialWeights = await trainer.initialWeights(initialSeed);
  const { id: modelId } = await trainer.identify(initialWeights);
  if (shape.proof) ui.status("generating the model's verifier");
  const verifier = shape.proof && (await generateOwnVerifier(trainer, shape.proof));
  return { shape, initialSeed, initialWeights, averaging, model, modelId, verifier };
}

/** @throws SkyNetError `NoZeroKnowledge` */
function proofSettingsOf({ chain }: LocalNode, job: JobFile): ProofSettings {
  const circuit = circuitOfJob(job);
  checkZeroKnowledge(chain, circuit);
  return { chainId: chain.chainId, circuit };
}

/** As `findOrPost`; samples of a job that could not be posted do not stay on the disk. */
async function findOrPostJob(...[node, trainer, prepared, data, options]: Parameters<typeof findOrPost>) {
  try {
    return await findOrPost(node, trainer, prepared, data, options);
  } catch (error) {
    await forgetUnusedData(options.dataDir);
    throw error;
  }
}

async function findOrPost(
  node: LocalNode,
  trainer: Trainer,
  prepared: PreparedModel,
  data: PreparedDataset,
  options: RequesterOptions,
): Promise<PostedJob> {
  const { job, dataDir, ui } = options;
  // Whom the requester admits is no term of the job: another list is used from the next start on.
  const terms = { ...job, workers: { ...job.workers, allow: undefined } };
  const settings = settingsHash({ job: terms, chain: node.chain.chainId, requester: node.chain.address });
  const unfinished = await findUnfinishedJob(dataDir, settings);
  if (unfinished) {
    ui.line(`resuming job ${shortId(unfinished.jobId)}`);
    await pinJob(node, unfinished);
    await post(node, prepared, options, unfinished);
    return unfinished;
  }
  await checkBalance(node, job);
  await showBudget(node, options);
  const datasetSecret = randomBytes(32);
  const blocks = pinnedPuts(node.blocks, jobPin(settings));
  const modules = { ...options, node: { blocks }, datasetSecret, cacheDir: options.cacheDir ?? dataDir };
  const dataset = await publishTrainingSet(job, data, trainer, prepared.shape, modules);
  const modelCid = await putContent(blocks, prepared.model);
  const requirements = requirementsOf(job.requirements);
  const metadata = encodeMetadata({
    version: 1,
    name: job.name,
    arithmetic: "fixed",
    verification: job.verification.mode,
    ...(prepared.verifier ? { circuit: circuitOfJob(job) } : {}),
    ...(job.gas === "sponsored" ? { gas: job.gas } : {}),
    ...(requirements ? { requirements } : {}),
    artefacts: (await artefactKey(node.host.identity)).recipient,
    modelCid,
    manifestCid: dataset.manifestCid,
    batchSize: job.training.batchSize,
    learningRate: job.training.learningRate,
    initialSeed: prepared.initialSeed,
  });
  const draft = {
    version: 2 as const,
    settings,
    metadata: toHex(metadata),
    modelCid,
    manifestCid: dataset.manifestCid,
    dataRoot: dataset.root,
    nBatches: dataset.manifest.cids.length,
    datasetSecret: toHex(datasetSecret),
    group: null,
    startedMs: Date.now(),
    prepared: data.id,
    done: false as const,
  };
  const spec = await specOf(node, prepared, job, draft);
  const posted: PostedJob = { ...draft, jobId: await node.chain.nextJobId(spec) };
  await pinJob(node, posted);
  node.blocks.unpin(jobPin(settings));
  // On disk before it is on chain: a crash in between posts the same job again, never a second one.
  await savePostedJob(dataDir, posted);
  await post(node, prepared, options, posted);
  return posted;
}

/** Keeps what the job's workers will ask for. */
async function pinJob({ blocks }: LocalNode, { jobId, modelCid, manifestCid, dataRoot }: PostedJob): Promise<void> {
  const own = [await cidsOfContent(blocks, modelCid), await cidsOfContent(blocks, manifestCid)];
  const manifest = await readContent(blocks, manifestCid);
  blocks.pin(jobPin(jobId), [...own.flat(), ...parseManifest(manifest, dataRoot).cids]);
}

/** Says what the job will cost, and asks whether that is meant. */
async function showBudget(node: LocalNode, { job, ui, confirm }: RequesterOptions): Promise<void> {
  const { terms, info } = await moneyTerms(node, job, tokenOf(node, job));
  const { most, about, basis } = await previewBudget(node.chain, terms, info);
  const text = about === most ? "" : `, about ${formatAmount(about, info)}`;
  ui.event("budget", { most, about, basis });
  ui.line(`the job costs at most ${formatAmount(most, info)}${text}: ${basis}`);
  await confirm?.(`Escrow ${formatAmount(most, info)}? What is not spent returns.`);
}

/** Posts the job unless the chain has it already, and offers its public blocks. */
async function post(
  node: LocalNode,
  prepared: PreparedModel,
  options: RequesterOptions,
  posted: PostedJob,
): Promise<void> {
  const { chain } = node;
  for (const cid of [posted.modelCid, posted.manifestCid]) await openContent(node, cid);
  await awaitPending(chain, options.ui, options.signal);
  if (!(await isPosted(chain, posted.jobId))) {
    const spec = await specOf(node, prepared, options.job, posted);
    if ((await chain.nextJobId(spec)) !== posted.jobId)
      throw new SkyNetError("JobChanged", "another job was posted from this wallet before this one reached the chain", {
        hint: `delete ${path.join(options.dataDir, "jobs", posted.jobId)} and run the same command again`,
      });
    if (prepared.verifier) await ensureVerifier(chain, prepared.verifier, posted.modelCid, options.ui);
    // The contract checks the same; here before any token has moved.
    checkSpec(spec, await chain.now(), chain.chainId === DEVELOPMENT_CHAIN_ID ? 1 : PUBLIC_MIN_WINDOW);
    const budget = await checkBalance(node, options.job);
    await fundLedger(chain, spec.token, budget);
    await chain.post(spec, fromHex(posted.metadata));
    options.ui.line(`posted job ${shortId(posted.jobId)}, ${await amountText(node, spec.token, budget)} in escrow`);
  }
  options.ui.event("posted", { jobId: posted.jobId });
  await node.host.publish(JOBS_TOPIC, { kind: "job-posted", job: posted.jobId, body: {} });
}

async function isPosted(chain: Chain, jobId: Hex): Promise<boolean> {
  try {
    await chain.job(jobId);
    return true;
  } catch (error) {
    if (error instanceof ChainError && error.code === "UnknownJob") return false;
    throw error;
  }
}

/** Runs the job to its end. */
async function lead(
  node: LocalNode,
  trainer: Trainer,
  prepared: PreparedModel,
  data: PreparedDataset,
  posted: PostedJob,
  options: RequesterOptions,
): Promise<RequesterResult> {
  const { jobId } = posted;
  const chain = createJobChain(node.chain, jobId);
  const group = posted.group;
  const circle = new JobCircle({ jobId, self: node.chain.address, maxUpdateBytes: updateBytes(prepared.shape) });
  if (group) circle.take(group.epoch, fromHex(group.key));
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const network = await createJobNetwork(node, circle, signal);
  const manifest = await getContent(node.blocks, posted.manifestCid);
  if (manifest) node.access.addBlocks(jobId, parseManifest(manifest, posted.dataRoot).cids);
  const datasetSecret = fromHex(posted.datasetSecret);
  let saved = posted;
  const useSecrets = async ({ epoch, groupKey }: JobSecrets, { members, jobSeed }: KeyHolders) => {
    saved = { ...saved, group: { epoch, key: toHex(groupKey), members: [...members], jobSeed } };
    await savePostedJob(options.dataDir, saved);
    circle.take(epoch, groupKey);
  };
  try {
    return await runRequesterJob(
      {
        chain,
        network,
        blocks: jobBlocks(node, jobId),
        files: openJobFiles(options.dataDir, jobId),
        trainer,
        clock: systemClock,
        log: node.log,
        signal,
        newSecrets: (epoch) => ({ epoch, groupKey: randomBytes(32), datasetSecret }),
        useSecrets,
        evaluate: (weights) => evaluateOn(data.test, data.features, trainer, weights),
        keepCheckpoint: createCheckpoints({ ...options, node, trainer, ...posted, schema: data.schema }),
      },
      {
        shape: prepared.shape,
        initialWeights: prepared.initialWeights,
        resumed: group
          ? {
              secrets: { epoch: group.epoch, groupKey: fromHex(group.key), datasetSecret },
              holders: group,
            }
          : undefined,
        onProgress: (event) => showProgress(event, options),
      },
    );
  } finally {
    stop.abort();
  }
}
