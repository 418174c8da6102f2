import {
  JobMode,
  minStakeOf,
  randomSpec,
  toHex,
  merkleRoot,
  fromHex,
  verifierIdOf,
  VerifierKind,
} from "@skynet/protocol";
import type { Hex, JobSpec, VerifierDescription } from "@skynet/protocol";
import { keccak256, zeroAddress, zeroHash } from "viem";
import type { Agent } from "./agent.ts";
import { weightsOfId } from "./board-proofs.ts";
import { idOfPoints, namedWeights, pointsOf } from "./curve-points.ts";
import { hashText } from "./words.ts";
import { people } from "./world.ts";

export const meta: Hex = "0x6d657461";
const tag = hashText("layout");

const batches = Array.from({ length: 8 }, (_, index) => fromHex(hashText(`batch ${index}`)));

/** Ids of the batches of a job with `count` of them. */
export const batchesOf = (count: number): Uint8Array[] => batches.slice(0, count);

/** Description of a verifier of the tests. */
export const verifierDescription = (weightBlocks: number, kind: number = VerifierKind.STEP): VerifierDescription => ({
  kind,
  circuitHash: hashText("circuit 0"),
  srsHash: hashText("reference string"),
  weightsTag: tag,
  weightBlocks,
});

/** Verifiers that jobs and offers name. */
export const verifiers = [
  verifierDescription(1),
  verifierDescription(2),
  verifierDescription(400),
  verifierDescription(1, VerifierKind.INFER),
] as const;

export interface CommittedWeights {
  readonly points: Hex;
  readonly id: Hex;
}

const named = new Map<string, CommittedWeights>();

/** Weights, with their points and id, under a name. */
export function weightsNamed(name: string, blocks: number): CommittedWeights {
  const key = `${name} ${blocks}`;
  const known = named.get(key);
  if (known !== undefined) return known;
  const weights = namedWeights(name, blocks);
  const points = pointsOf(weights);
  const id = idOfPoints(tag, points);
  weightsOfId.set(id, weights);
  named.set(key, { points, id });
  return { points, id };
}

/** Points that are not on the curve. */
export function badPoints(name: string, blocks: number): CommittedWeights {
  const points = `0x${hashText(name)
    .slice(2)
    .repeat(2 * blocks)}` as const;
  return { points, id: idOfPoints(tag, points) };
}

function proofTerms(agent: Agent, spec: JobSpec): JobSpec {
  const { random, world } = agent;
  const { testBeacon, blockhashBeacon, ledger } = world.env.addresses;
  const blocks = 1 + random.below(2);
  const codehash = world.verifierRegistry.codehash(world.verifiers.plain);
  const auditSteps = random.pick([1, 1, 2]);
  const segment = random.pick([1, 1, 2]);
  const steps = auditSteps * segment * random.pick([1, 2, 3]);
  const nBatches = 1 + random.below(5);
  const right = verifierIdOf(verifierDescription(blocks), codehash);
  const others = [verifierDescription(1, VerifierKind.INFER), verifierDescription(400)].map((one) =>
    verifierIdOf(one, codehash),
  );
  const wrong = () => random.pick([hashText("nobody"), ...others]);
  return {
    ...spec,
    auditSteps,
    segment,
    steps,
    auditBps: random.chance(0.6) ? 10_000 : 1_000 + random.below(9_000),
    nBatches: BigInt(nBatches),
    dataRoot: toHex(merkleRoot(batchesOf(nBatches))),
    stepVerifier: agent.mostly(right, wrong, 0.95),
    // a beacon that is none never answers
    beacon: agent.mostly(
      random.chance(0.8) ? testBeacon : blockhashBeacon,
      () => random.pick([ledger, zeroAddress]),
      0.94,
    ),
    modelId: weightsNamed(`model ${random.below(3)}`, blocks).id,
  };
}

/** Terms of a random job that can be posted most of the time. */
export function randomTerms(agent: Agent, requester: Hex): JobSpec {
  const { random, world } = agent;
  const base = randomSpec(random);
  const window = () => 5 + random.below(60);
  const windows = {
    joinWindow: window(),
    readyWindow: window(),
    commitWindow: window(),
    drawWindow: window(),
    proveWindow: window(),
    mergeWindow: window(),
    deliverWindow: window(),
  };
  const late = agent.now + windows.joinWindow + windows.readyWindow + 1 + random.below(150);
  let spec: JobSpec = {
    ...base,
    ...windows,
    rounds: Math.min(base.rounds, 5),
    requester,
    token: world.tokens[random.chance(0.85) ? 0 : 1],
    deadline: random.chance(0.15) ? late : 0,
    modelId: hashText("model"),
    dataRoot: hashText("data"),
    stepVerifier: zeroHash,
    beacon: zeroAddress,
    admitter: random.chance(0.25) ? people.admitter.address : zeroAddress,
    metaHash: keccak256(meta),
  };
  if (spec.mode === JobMode.PROOF) spec = proofTerms(agent, spec);
  const rule = minStakeOf(spec) + spec.missPenalty;
  const stake = (rule > spec.missPenalty * 8n ? rule : spec.missPenalty * 8n) + BigInt(random.below(20));
  spec = { ...spec, stake };
  return random.chance(0.8) ? spec : { ...spec, ...brokenTerms(agent, spec) };
}

/** One field that breaks a rule, or nearly. */
function brokenTerms(agent: Agent, spec: JobSpec): Partial<JobSpec> {
  const { random } = agent;
  const huge = 1n << 120n;
  return random.pick<() => Partial<JobSpec>>([
    () => ({ requester: agent.anybody() }),
    () => ({ token: zeroAddress }),
    () => ({ metaHash: zeroHash }),
    () => ({ mode: 2 }),
    () => ({ minSeats: random.pick([0, spec.seats + 1]) }),
    () => ({ averaging: random.pick([3, 0, 65_535]) }),
    () => ({ rounds: random.pick([0, 1_025]) }),
    () => ({ maxFails: random.pick([0, 17]) }),
    () => ({ steps: random.pick([0, 7]) }),
    () => ({ nBatches: 0n }),
    () => ({ auditSteps: random.pick([0, 17, 3]) }),
    () => ({ auditBps: random.pick([0, 10_001]) }),
    () => ({ segment: random.pick([0, 5]) }),
    () => ({ drawWindow: random.pick([0, 3_601]) }),
    () => ({ joinWindow: random.pick([0, 604_801]) }),
    () => ({ deadline: agent.now + spec.joinWindow + spec.readyWindow + random.below(2) }),
    () => ({ deliveryBps: 10_000, holdBps: random.below(2) }),
    () => ({ priceMin: spec.priceMax + 1n }),
    () => ({ priceMax: huge, stake: huge, mergeFee: huge }),
    () => ({ seats: 256, averaging: 256, rounds: 1_024, mode: JobMode.QUORUM, priceMax: huge }),
    () => ({ priceMax: huge + 1n }),
    () => ({ stake: spec.stake > 20n ? spec.stake - 20n : 0n }),
    () => ({ missPenalty: spec.stake / 8n + 1n }),
    () => ({ seats: 256, averaging: 256 }),
  ])();
}
