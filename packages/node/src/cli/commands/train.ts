import type { Command } from "commander";
import { runRequester } from "../../roles/requester.ts";
import { showEnd, withUi } from "../options.ts";
import { addPostOptions, requesterOptions, type PostOptions } from "../post-options.ts";

/** `skynet train JOB.yaml`: posts a job and leads it to its end; run again, it resumes an unfinished one. */
export function addTrain(program: Command): void {
  addPostOptions(
    program
      .command("train")
      .description(
        "post a training job, follow it to its end and fetch the model; run again to resume an unfinished job",
      ),
  )
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet devnet                                # in another terminal\n  $ npx skynet train examples/fashion-mnist/job.yaml",
    )
    .action((file: string, options: PostOptions) =>
      withUi(options, async (ui) => showEnd(ui, await runRequester(await requesterOptions(file, options, ui)))),
    );
}
