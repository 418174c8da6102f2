import type { ChainJobEvent, RoutedChain } from "@skynet/contracts";
import { fromHex, SkyNetError, stepContext, toHex, type Hex, type JobSpec } from "@skynet/protocol";
import { makeSnapshot, type Commitment, type JobChain, type JobSnapshot } from "@skynet/swarm";

/** Blocks below the head that are read again, because a reorganisation may have changed them. */
const REORG_BLOCKS = 12n;
const text = { encoder: new TextEncoder(), decoder: new TextDecoder() };

/** One job of the chain as the drivers of `swarm` see it. */
export function createJobChain(chain: RoutedChain, jobId: Hex): JobChain {
  const events = createEventCache(chain, jobId);
  const attestation = (round: number, received: bigint, idNext: Hex) => ({ jobId, round, received, idNext });
  const signedBy = async (worker: Hex, recovered: Promise<Hex>) => (await recovered) === worker;
  return {
    self: chain.address,
    jobId,
    snapshot: createSnapshots(chain, jobId, events),
    publicKeyOf: async (worker) => {
      const { publicKey } = await chain.worker(worker);
      if (publicKey === undefined) throw new SkyNetError("NotRegistered", `${worker} is not registered`);
      return fromHex(publicKey);
    },
    signReady: (keyRef) => chain.signReady({ jobId, keyRef }),
    signAttest: (round, received, idNext) => chain.signAttest(attestation(round, received, idNext)),
    isReadySignature: (worker, keyRef, signature) => signedBy(worker, chain.recoverReady({ jobId, keyRef }, signature)),
    isAttestSignature: (worker, round, received, idNext, signature) =>
      signedBy(worker, chain.recoverAttest(attestation(round, received, idNext), signature)),
    publishKeys: (epoch, cid) => done(chain.publishKeys(jobId, BigInt(epoch), text.encoder.encode(cid))),
    ready: (keyRef, seats, signatures) => done(chain.ready(jobId, keyRef, signedSeats(seats, signatures))),
    commit: async (round, seat, idEnd, stepsRoot) => {
      // By signature, because that names the round: a transaction that comes late cannot count for the next one.
      const signature = await chain.signCommit({ jobId, round, idEnd, stepsRoot });
      await chain.commitFor(jobId, [{ seat, idEnd, stepsRoot, signature }]);
    },
    abstain: (round) => done(chain.abstain(jobId, round)),
    attest: (seats, received, signatures) =>
      done(
        chain.attest(
          jobId,
          signedSeats(seats, signatures).map((row, i) => ({ ...row, received: received[i]! })),
        ),
      ),
    ...proofCalls(chain, jobId, events),
    merge: (idNext, seats, signatures) => done(chain.merge(jobId, idNext, signedSeats(seats, signatures))),
    tick: () => done(chain.tick(jobId)),
    stop: () => done(chain.stop(jobId)),
    accept: () => done(chain.accept(jobId)),
    complain: () => done(chain.complain(jobId)),
    claim: (seat, toRound) => done(chain.claim(jobId, seat, toRound)),
    claimHold: (seat) => done(chain.claimHold(jobId, seat)),
    release: (seat) => done(chain.release(jobId, seat)),
  };
}

type ProofCalls = Pick<JobChain, "isDrawReady" | "draw" | "stepHeader" | "prove" | "proofsOf" | "mergeProven">;

/** What only jobs in proof mode need. */
function proofCalls(chain: RoutedChain, jobId: Hex, events: () => Promise<readonly ChainJobEvent[]>): ProofCalls {
  let known: Promise<{ spec: JobSpec; verifier: Hex }> | undefined;
  const terms = async () => {
    const { spec } = await chain.job(jobId);
    return { spec, verifier: (await chain.verifierEntry(spec.stepVerifier)).at };
  };
  return {
    isDrawReady: async () => {
      const { spec, ticket } = await chain.job(jobId);
      return (await chain.beaconValue(spec.beacon, ticket)) !== undefined;
    },
    draw: () => done(chain.draw(jobId)),
    stepHeader: async (round, step, batchIndex) => {
      known ??= terms();
      known.catch(() => (known = undefined));
      const { spec, verifier } = await known;
      const context = stepContext({
        chainId: chain.chainId,
        jobBoard: chain.addresses.jobBoard,
        verifierId: spec.stepVerifier,
        jobId,
        worker: chain.address,
        round,
        step,
        dataRoot: spec.dataRoot,
        batchIndex: BigInt(batchIndex),
      });
      return { chainId: chain.chainId, verifier, context };
    },
    prove: (answer) =>
      done(
        chain.prove(jobId, {
          ...answer,
          steps: answer.steps.map((step) => ({ ...step, proof: toHex(step.proof) })),
        }),
      ),
    proofsOf: async (round) => {
      const { spec, state } = await chain.job(jobId);
      const slots = (await events()).filter((event) => event.name === "Proven" && event.args.round === round);
      const all = new Map<Hex, { steps: number; gas: number }>();
      for (const { args, transactionHash } of slots as Extract<ChainJobEvent, { name: "Proven" }>[]) {
        const worker = state.workers[Number(args.seat)]!;
        const { steps, gas } = all.get(worker) ?? { steps: 0, gas: 0 };
        all.set(worker, { steps: steps + spec.segment, gas: gas + Number(await chain.gasUsed(transactionHash)) });
      }
      return [...all].map(([worker, proven]) => ({ worker, ...proven }));
    },
    mergeProven: (basePoints, updates) =>
      done(
        chain.mergeProven(
          jobId,
          toHex(basePoints),
          updates.map((update) => ({ ...update, points: toHex(update.points) })),
        ),
      ),
  };
}

async function done(write: Promise<unknown>): Promise<void> {
  await write;
}

const signedSeats = (seats: readonly number[], signatures: readonly Hex[]) =>
  seats.map((seat, i) => ({ seat, signature: signatures[i]! }));

/** The job at the newest block; between two blocks nothing changes, so nothing is read. */
function createSnapshots(
  chain: RoutedChain,
  jobId: Hex,
  events: () => Promise<readonly ChainJobEvent[]>,
): () => Promise<JobSnapshot> {
  let latest: { readonly block: bigint; readonly snapshot: JobSnapshot } | undefined;
  return async () => {
    const block = await chain.blockNumber();
    if (latest?.block !== block) latest = { block, snapshot: await snapshotOf(chain, jobId, await events()) };
    return latest.snapshot;
  };
}

/** All events of the job; only blocks that are new or could still change are asked for. */
function createEventCache(chain: RoutedChain, jobId: Hex): () => Promise<readonly ChainJobEvent[]> {
  let known: ChainJobEvent[] = [];
  let next = 0n;
  return async () => {
    const head = await chain.blockNumber();
    const from = next > REORG_BLOCKS ? next - REORG_BLOCKS : 0n;
    const fresh = await chain.events({ jobId, fromBlock: from, toBlock: head });
    known = [...known.filter(({ blockNumber }) => blockNumber < from), ...fresh];
    next = head + 1n;
    return known;
  };
}

async function snapshotOf(chain: RoutedChain, jobId: Hex, events: readonly ChainJobEvent[]): Promise<JobSnapshot> {
  const [{ spec, state, modelId, batchSeed, seed }, now] = await Promise.all([chain.job(jobId), chain.now()]);
  return makeSnapshot(spec, state, {
    commits: commitsOf(events, state.round),
    keys: newestKeys(events),
    modelId,
    seed,
    jobSeed: batchSeed,
    nowMs: now * 1000,
  });
}

function commitsOf(events: readonly ChainJobEvent[], round: number): Map<number, Commitment> {
  const commits = new Map<number, Commitment>();
  for (const event of events)
    if (event.name === "Committed" && event.args.round === round)
      commits.set(Number(event.args.seat), { idEnd: event.args.idEnd, stepsRoot: event.args.stepsRoot });
  return commits;
}

function newestKeys(events: readonly ChainJobEvent[]): JobSnapshot["keys"] {
  let newest: JobSnapshot["keys"];
  for (const event of events) {
    if (event.name !== "KeysPublished") continue;
    const epoch = Number(event.args.epoch);
    if (newest === undefined || epoch > newest.epoch)
      newest = { epoch, cid: text.decoder.decode(fromHex(event.args.cid)) };
  }
  return newest;
}
