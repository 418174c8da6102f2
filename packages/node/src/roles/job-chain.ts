import type { Chain, ChainJobEvent } from "@skynet/contracts";
import { fromHex, SkyNetError, type Hex } from "@skynet/protocol";
import { makeSnapshot, type JobChain, type JobSnapshot } from "@skynet/swarm";

/** Blocks below the head that are read again, because a reorganisation may have changed them. */
const REORG_BLOCKS = 12n;
const text = { encoder: new TextEncoder(), decoder: new TextDecoder() };

/** One job of the chain as the drivers of `swarm` see it. */
export function createJobChain(chain: Chain, jobId: Hex): JobChain {
  const events = createEventCache(chain, jobId);
  const attestation = (round: number, received: bigint, idNext: Hex) => ({ jobId, round, received, idNext });
  const signedBy = async (worker: Hex, recovered: Promise<Hex>) => (await recovered) === worker;
  return {
    self: chain.address,
    jobId,
    snapshot: async () => snapshotOf(chain, jobId, await events()),
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

async function done(write: Promise<unknown>): Promise<void> {
  await write;
}

const signedSeats = (seats: readonly number[], signatures: readonly Hex[]) =>
  seats.map((seat, i) => ({ seat, signature: signatures[i]! }));

/** All events of the job; only blocks that are new or could still change are asked for. */
function createEventCache(chain: Chain, jobId: Hex): () => Promise<readonly ChainJobEvent[]> {
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

async function snapshotOf(chain: Chain, jobId: Hex, events: readonly ChainJobEvent[]): Promise<JobSnapshot> {
  const [{ spec, state, modelId, batchSeed }, now] = await Promise.all([chain.job(jobId), chain.now()]);
  return makeSnapshot(spec, state, {
    commits: commitsOf(events, state.round),
    keys: newestKeys(events),
    modelId,
    jobSeed: batchSeed,
    nowMs: now * 1000,
  });
}

function commitsOf(events: readonly ChainJobEvent[], round: number): Map<number, Hex> {
  const commits = new Map<number, Hex>();
  for (const event of events)
    if (event.name === "Committed" && event.args.round === round)
      commits.set(Number(event.args.seat), event.args.idEnd);
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
