import {
  average,
  averageBlinders,
  type Blinders,
  createDevelopmentString,
  createExecutor,
  createProofSystem,
  deriveBlinders,
  initialWeights,
  noBlinders,
  type ProofSystem,
  stepCircuit,
} from "@skynet/proof";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestChain, type TestChain } from "../packages/contracts/src/test-chain.ts";
import { fundParties } from "../packages/contracts/src/test-job.ts";
import { idOfWeights, startProofJob, verifierDescription } from "../packages/contracts/src/test-proof-job.ts";
import { perceptronProgram, randomIntegers } from "../packages/proof/src/testing.ts";

const STEPS = 3;
const FEATURES = 36;
/** The weights fill two blocks, as many as the test verifier names. */
const program = perceptronProgram([FEATURES, 16, 4], { batchSize: 4, learningRate: 4 / 256, workers: 4 });
const random = randomIntegers(11);

interface Weights {
  readonly weights: Int32Array[];
  readonly blinders: Blinders;
}

let chain: TestChain;
let system: ProofSystem;

beforeAll(async () => {
  chain = await startTestChain(4);
  await fundParties(chain.parties);
  const circuit = stepCircuit(program, { blockBits: 9, tableBits: 9, hiding: true });
  system = await createProofSystem(circuit, await createDevelopmentString({ blockBits: 9 }));
});
afterAll(async () => {
  await system.close();
  await chain.stop();
});

const pointsOf = async ({ weights, blinders }: Weights) => (await system.commitWeights(weights, blinders)).points;

/** Real steps of a seat, blinded as those of a worker are. */
async function train({ weights }: Weights, round: number, seat: number): Promise<Weights> {
  const executor = await createExecutor(program);
  executor.load(weights);
  for (let step = 0; step < STEPS; step++)
    executor.step(
      Int8Array.from({ length: 4 * FEATURES }, () => random(-18, 46)),
      Uint8Array.of(0, 1, 2, seat),
    );
  const secret = new Uint8Array(32).fill(16 * round + seat + 1);
  return { weights: executor.weights(), blinders: deriveBlinders(secret, ["weights", STEPS], system.blocks.weights) };
}

describe("the merge on chain of commitments that hide", () => {
  it("leads in three rounds to the commitment of the averaged weights with the averaged blinders", async () => {
    expect(system.blocks.weights).toBe(verifierDescription.weightBlocks);
    let base: Weights = {
      weights: initialWeights(program, new Uint8Array(32).fill(3)),
      blinders: noBlinders(system.blocks.weights),
    };
    const committed = new Map<string, Awaited<ReturnType<typeof pointsOf>>>();
    const job = await startProofJob(
      chain,
      { auditSteps: 1, segment: 4, rounds: 3 },
      { base: await pointsOf(base), of: (round, seat) => committed.get(`${round}/${seat}`)! },
    );
    // one seat stays out of the second average
    for (const [round, delivered] of [3, 2, 3].entries()) {
      const updates: Weights[] = [];
      for (let seat = 0; seat < job.spec.seats; seat++) {
        const update = await train(base, round, seat);
        committed.set(`${round}/${seat}`, await pointsOf(update));
        updates.push(update);
      }
      await job.commitWork();
      await job.drawAudits();
      await job.proveSeats();
      await job.attest([0, 1, 2], 2n ** BigInt(delivered) - 1n);
      await job.mergeWork();

      const included = updates.slice(0, delivered);
      base = {
        weights: average(
          program,
          base.weights,
          included.map(({ weights }) => weights),
        ),
        blinders: averageBlinders(
          base.blinders,
          included.map(({ blinders }) => blinders),
          job.spec.averaging,
        ),
      };
      const { modelId, state } = await job.view();
      expect(state.merged).toBe(round + 1);
      expect(modelId).toBe(idOfWeights(await pointsOf(base)));
      const unblinded = { weights: base.weights, blinders: noBlinders(system.blocks.weights) };
      expect(modelId).not.toBe(idOfWeights(await pointsOf(unblinded)));
    }
  });
});
