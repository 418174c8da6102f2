import { crashUploads } from "./crashes.ts";
import { fuzzAnswers } from "./fuzz-answers.ts";
import { createRandom } from "../blocks/testing-blocks.ts";

interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

/** Of uploads to storage services, and of their answers. */
export const remoteFuzzers = {
  "upload-crashes": ({ count, seed, onProgress }: FuzzOptions) =>
    crashUploads({ count, random: createRandom(seed), onProgress }),
  "remote-answers": ({ count, seed, onProgress }: FuzzOptions) =>
    fuzzAnswers({ count, random: createRandom(seed), onProgress }),
};
