import path from "node:path";
import type { PreparedDataset } from "@skynet/storage";
import type { RequesterResult, Trainer } from "@skynet/swarm";
import type { JobFile } from "../job-file.ts";
import { datasetMetadata } from "../artefacts/dataset-metadata.ts";
import { reportHtml } from "../report/html.ts";
import { summaryJson, type DataFigures, type Summary } from "../report/summary.ts";
import { writeFileAtomic } from "../runtime/files.ts";
import { tokenOf } from "./job-terms.ts";
import type { LocalNode } from "./local-node.ts";
import type { PostedJob } from "./posted-job.ts";
import { proofFigures } from "./proof-figures.ts";
import type { RequesterOptions } from "./requester.ts";
import { tokenInfo } from "./token.ts";

/** Model, report and figures of the finished job. */
export async function writeResults(
  node: LocalNode,
  trainer: Trainer,
  posted: PostedJob,
  data: PreparedDataset,
  result: RequesterResult,
  options: RequesterOptions,
): Promise<Summary> {
  const folder = options.resultDir ?? path.join(options.dataDir, "jobs", posted.jobId);
  const token = tokenOf(node, options.job);
  const money = await node.chain.money(posted.jobId);
  // The chain's count: a requester that was away has not reported every round.
  const { merged } = (await node.chain.job(posted.jobId)).state;
  const summary: Summary = {
    jobId: posted.jobId,
    name: options.job.name,
    outcome: result.outcome,
    data: dataFigures(data, options.job),
    testAccuracy: result.weights && result.accuracy,
    rounds: merged,
    workers: result.workers,
    statesIdentical: result.statesIdentical,
    budget: money.budget,
    paid: money.paid,
    refunded: money.refunded,
    burned: money.burned,
    stakeBurned: money.stakeBurned,
    trainSeconds: (Date.now() - posted.startedMs) / 1000,
    perRound: result.rounds,
    ...(await proofFigures(node.chain, posted.jobId)),
    token: await tokenInfo(node.chain.rpcUrl, token),
    modelId: result.modelId,
    modelFile: result.weights && path.join(folder, "model.onnx"),
    reportFile: path.join(folder, "report.html"),
  };
  if (summary.modelFile !== undefined && result.weights !== undefined)
    await writeFileAtomic(summary.modelFile, await trainer.exportModel(result.weights, datasetMetadata(data.schema)));
  await writeFileAtomic(summary.reportFile, reportHtml(summary, new Date()));
  await writeFileAtomic(
    path.join(folder, "summary.json"),
    `${JSON.stringify(summaryJson(summary), null, 2)}
`,
  );
  return summary;
}

function dataFigures({ schema, files, rows }: PreparedDataset, { training }: JobFile): DataFigures {
  const { batchSize, seed } = training;
  return { name: schema.name, files, seed, batchSize, rows, classes: schema.target.classes };
}
