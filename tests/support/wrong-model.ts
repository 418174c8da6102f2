import path from "node:path";
import type { Identity } from "@skynet/network";
import { exportModel, readInferenceModel } from "@skynet/proof";
import type { Hex } from "@skynet/protocol";
import { openBlockStore, readContent } from "@skynet/storage";
import { artefactKey, keepArtefact, keptArtefacts, openArtefact } from "../../packages/node/src/artefacts/artefacts.ts";
import { tinyModel } from "./tiny-job.ts";

interface ModelPlace {
  readonly jobId: Hex;
  /** Folder of the requester, which has the right model. */
  readonly from: string;
  /** The requester's. */
  readonly identity: Identity;
}

/** Leaves the model of a tiny job with one other weight in a folder, as if it were the right one. */
export async function keepWrongModel(dataDir: string, { jobId, from, identity }: ModelPlace): Promise<void> {
  const key = await artefactKey(identity);
  const kept = (await keptArtefacts(from, jobId)).at(-1)!;
  const source = await openBlockStore(path.join(from, "blocks"));
  const right = await openArtefact(await readContent(source, kept.cid), key.identity).finally(() => source.close());
  const { program, weights } = readInferenceModel(right.onnx);
  const other = weights.map((tensor, i) => (i === 0 ? tensor.with(0, tensor[0]! + 1) : tensor));
  const blocks = await openBlockStore(path.join(dataDir, "blocks"));
  await blocks.put(tinyModel());
  const wrong = { ...right, onnx: exportModel(program, other) };
  await keepArtefact({ blocks, dataDir }, wrong, key.recipient).finally(() => blocks.close());
}
