import {
  countSeats,
  firstSeats,
  includedSeats,
  JobMode,
  JobPhase,
  listSeats,
  phaseEnd,
  segmentOfSlot,
} from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { zeroAddress, zeroHash } from "viem";
import type { Agent, LiveJob } from "./agent.ts";
import type { AnswerArgument, UpdateArgument } from "./board-proofs.ts";
import { weightsOfId } from "./board-proofs.ts";
import { pointsOf } from "./curve-points.ts";
import { meta, randomTerms } from "./job-terms.ts";
import { answerOf, workOf } from "./seat-work.ts";
import { testProof } from "./verifier-model.ts";
import { hashText } from "./words.ts";
import { people } from "./world.ts";
import type { Call } from "./world.ts";

const keyRef = hashText("keys");
const flip = (hex: Hex): Hex => `0x${hex.slice(2, -1)}${hex.endsWith("0") ? "1" : "0"}`;

/** Calls of the JobBoard. */
export class JobMoves {
  readonly #agent: Agent;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  #board(from: Hex, name: string, ...args: readonly unknown[]): Call {
    return this.#agent.world.call(from, "jobBoard", name, ...args);
  }

  post(): Call {
    const requester = this.#agent.requester();
    return this.#board(requester, "post", randomTerms(this.#agent, requester), meta);
  }

  /** What the job waits for. */
  expected(job: LiveJob): Call {
    const agent = this.#agent;
    const late = agent.now >= phaseEnd(job.spec, job.state);
    if (agent.random.chance(late ? 0.7 : 0.02)) return this.#board(agent.anybody(), "tick", job.jobId);
    switch (job.state.phase) {
      case JobPhase.OPEN:
        return agent.random.chance(0.02) ? this.#byRequester(job, "cancel") : this.#join(job);
      case JobPhase.READY:
        return agent.random.chance(0.02) ? this.#byRequester(job, "stop") : this.#ready(job);
      case JobPhase.COMMIT:
        return this.#decide(job);
      case JobPhase.DRAW:
        return this.#board(agent.anybody(), "draw", job.jobId);
      case JobPhase.PROVE:
        return this.#prove(job);
      case JobPhase.MERGE:
        return agent.mostly(job.spec.mode, () => 1 - job.spec.mode, 0.98) === JobMode.PROOF
          ? this.#mergeProven(job)
          : this.#merge(job);
      case JobPhase.DELIVER:
        return this.#byRequester(job, agent.random.pick(["accept", "complain"]));
      case JobPhase.SETTLED:
        return this.collect(job);
    }
  }

  #byRequester(job: LiveJob, name: string): Call {
    const from = this.#agent.mostly(job.spec.requester, () => this.#agent.anybody(), 0.8);
    return this.#board(from, name, job.jobId);
  }

  // OPEN and READY.

  #candidate(job: LiveJob): Hex {
    const { random, world } = this.#agent;
    const { spec, state } = job;
    const able = people.workers.filter(({ address }) => {
      const { free } = world.registry.stakes.get(address, spec.token);
      return free >= spec.stake && !state.workers.includes(address);
    });
    const some = () => random.pick([...people.workers, ...people.requesters]).address;
    return able.length === 0 ? some() : this.#agent.mostly(random.pick(able).address, some, 0.9);
  }

  #join(job: LiveJob): Call {
    const agent = this.#agent;
    const { random } = agent;
    const { jobId } = job;
    const minPrice = () => (random.chance(0.85) ? 0n : BigInt(random.below(110)));
    if (random.chance(0.5)) {
      const worker = this.#candidate(job);
      return this.#board(worker, "join", jobId, minPrice(), this.#admission(job, worker));
    }
    const workers = Array.from({ length: agent.mostly(1 + random.below(3), () => 0) }, () => this.#candidate(job));
    const acceptances = workers.map((worker) => ({
      worker,
      minPrice: minPrice(),
      expiry: BigInt(agent.mostly(agent.now + random.below(50), () => agent.now - 1)),
      epoch: agent.mostly(agent.world.registry.workers.get(worker).epoch, () => random.below(3)),
    }));
    const signatures = acceptances.map(({ worker, minPrice, expiry, epoch }) =>
      agent.sign(worker, "Accept", jobId, worker, minPrice, expiry, epoch),
    );
    const admissions = workers.map((worker) => this.#admission(job, worker));
    const given = agent.mostly(signatures, () => signatures.slice(1), 0.99);
    return this.#board(agent.anybody(), "joinFor", jobId, acceptances, given, admissions);
  }

  #admission({ jobId, spec }: LiveJob, worker: Hex): { expiry: bigint; signature: Hex } {
    const agent = this.#agent;
    if (spec.admitter === zeroAddress) return { expiry: 0n, signature: "0x" };
    const expiry = BigInt(agent.mostly(agent.now + agent.random.below(50), () => agent.now - 1));
    const admitted = agent.mostly(worker, () => agent.anybody());
    return { expiry, signature: agent.sign(spec.admitter, "Admit", jobId, admitted, expiry) };
  }

  #ready(job: LiveJob): Call {
    const agent = this.#agent;
    const missing = listSeats(job.state.active & ~job.state.ready).filter(() => agent.random.chance(0.6));
    const seats = agent.mostly(missing, () => [...missing, agent.random.below(8)]);
    const signatures = seats.map((seat) => agent.sign(this.#workerOf(job, seat), "Ready", job.jobId, keyRef));
    const given = agent.mostly(signatures, () => [...signatures, "0x"], 0.99);
    return this.#board(agent.anybody(), "ready", job.jobId, keyRef, seats.map(BigInt), given);
  }

  #workerOf({ state }: LiveJob, seat: number): Hex {
    return state.workers[seat] ?? this.#agent.anybody();
  }

  // COMMIT.

  #decide(job: LiveJob): Call {
    const agent = this.#agent;
    const { random } = agent;
    const { state, jobId, mood } = job;
    if (random.chance(0.008)) return this.#byRequester(job, "stop");
    const undecided = listSeats(state.active & ~state.committed & ~state.abstained);
    const willing = undecided.filter((seat) => seat !== mood.lazySeat);
    if (willing.length === 0) return this.#board(agent.anybody(), "tick", jobId);
    const other = () => random.pick([...listSeats(state.abstained), random.below(8)]);
    const seat = agent.mostly(random.pick(willing), other, 0.93);
    const roll = random.next();
    if (roll < 0.05) return this.#leave(job, seat);
    if (roll < 0.13) return this.#abstain(job, seat);
    if (roll < 0.5) {
      const { idEnd, stepsRoot } = this.#commitment(job, seat);
      return this.#board(this.#workerOf(job, seat), "commit", jobId, idEnd, stepsRoot);
    }
    const seats = willing.filter(() => random.chance(0.6));
    return this.#commitFor(
      job,
      agent.mostly(seats, () => [...willing, random.pick(willing)], 0.9),
    );
  }

  #commitment(job: LiveJob, seat: number): { idEnd: Hex; stepsRoot: Hex } {
    const agent = this.#agent;
    // now and then what somebody else has trained
    const { idEnd, stepsRoot } = workOf(
      agent.world,
      job,
      agent.mostly(seat, () => agent.random.below(4)),
    );
    return { idEnd, stepsRoot: agent.mostly(stepsRoot, () => hashText("root"), 0.98) };
  }

  #commitFor(job: LiveJob, seats: readonly number[]): Call {
    const agent = this.#agent;
    const { jobId, state } = job;
    const list = seats.map((seat) => ({ seat, ...this.#commitment(job, seat) }));
    const signatures = list.map(({ seat, idEnd, stepsRoot }) => {
      // a batch may go on in the next round, when a commit ends this one
      const round = agent.mostly(state.round, () => Math.max(0, state.round + agent.random.pick([-1, 1])), 0.97);
      return agent.sign(this.#workerOf(job, seat), "Commit", jobId, round, idEnd, stepsRoot);
    });
    return this.#board(
      agent.anybody(),
      "commitFor",
      jobId,
      list,
      agent.mostly(signatures, () => signatures.slice(1), 0.99),
    );
  }

  #abstain(job: LiveJob, seat: number): Call {
    const agent = this.#agent;
    const { jobId, state } = job;
    const round = agent.mostly(state.round, () => state.round + 1);
    const worker = this.#workerOf(job, seat);
    if (agent.random.chance(0.5)) return this.#board(worker, "abstain", jobId, round);
    const signature = agent.sign(worker, "Abstain", jobId, round);
    return this.#board(agent.anybody(), "abstainFor", jobId, round, BigInt(seat), signature);
  }

  #leave(job: LiveJob, seat: number): Call {
    const agent = this.#agent;
    const { jobId, state } = job;
    const worker = this.#workerOf(job, seat);
    if (agent.random.chance(0.5)) return this.#board(worker, "leave", jobId);
    const signature = agent.sign(worker, "Leave", jobId, state.round);
    return this.#board(agent.anybody(), "leaveFor", jobId, BigInt(seat), signature);
  }

  // PROVE and MERGE.

  #prove(job: LiveJob): Call {
    const agent = this.#agent;
    const { random } = agent;
    const { state, jobId, mood } = job;
    const unproven = listSeats(state.selected & ~state.proven).filter((seat) => seat !== mood.mutedSeat);
    if (unproven.length === 0 || random.chance(0.3)) return this.#attest(job);
    const seat = random.pick(unproven);
    const slots = agent.world.board.proofs.owedSlots(job, seat);
    const answer = answerOf(agent.world, job, seat, slots.length === 0 ? 0 : random.pick(slots));
    const sent = agent.mostly(answer, () => this.#brokenAnswer(answer, job), 0.85);
    return this.#board(agent.anybody(), "prove", jobId, sent);
  }

  #brokenAnswer(answer: AnswerArgument, job: LiveJob): AnswerArgument {
    const { random } = this.#agent;
    const [first, ...rest] = answer.steps as [AnswerArgument["steps"][0]];
    const [done] = listSeats(job.state.proven);
    const wrongEnd = { ...first, idEnd: flip(first.idEnd) };
    return random.pick<() => AnswerArgument>([
      () => ({ ...answer, seat: BigInt(random.below(8)) }),
      () => ({ ...answer, seat: 1n << 130n }),
      () => ({ ...answer, seat: BigInt(done ?? 0), slot: 0n }),
      () => ({ ...answer, slot: BigInt(random.below(20)) }),
      () => ({ ...answer, idEnd: flip(answer.idEnd) }),
      () => ({ ...answer, stepsRoot: flip(answer.stepsRoot) }),
      () => ({ ...answer, idFrom: flip(answer.idFrom) }),
      () => ({ ...answer, pathFrom: [...answer.pathFrom, zeroHash] }),
      () => ({ ...answer, idTo: flip(answer.idTo) }),
      () => ({ ...answer, pathTo: [...answer.pathTo, zeroHash] }),
      () => ({ ...answer, steps: rest }),
      () => ({ ...answer, steps: [...answer.steps, first] }),
      () => ({ ...answer, steps: [{ ...first, proof: flip(first.proof) }, ...rest] }),
      () => ({ ...answer, steps: [{ ...first, proof: "0x" }, ...rest] }),
      () => ({ ...answer, steps: [{ ...first, batchLeaf: flip(first.batchLeaf) }, ...rest] }),
      () => ({ ...answer, steps: [{ ...first, batchPath: first.batchPath.slice(1) }, ...rest] }),
      () => ({ ...answer, steps: [wrongEnd, ...rest] }),
      () => ({ ...answer, steps: this.#proveElsewhere(job, answer) }),
    ])();
  }

  /** A proof that is right, of a step that ends elsewhere. */
  #proveElsewhere(job: LiveJob, answer: AnswerArgument): AnswerArgument["steps"] {
    const { proofs } = this.#agent.world.board;
    const seat = Number(answer.seat);
    const last = answer.steps.at(-1)!;
    const segment = segmentOfSlot(job.seed, job.spec, seat, Number(answer.slot));
    const { context } = proofs.statement(job.jobId, job, seat, (segment + 1) * job.spec.segment - 1);
    const idIn = answer.steps.at(-2)?.idEnd ?? answer.idFrom;
    const idEnd = flip(last.idEnd);
    const proof = testProof(context, idIn, idEnd, last.batchLeaf);
    return [...answer.steps.slice(0, -1), { ...last, idEnd, proof }];
  }

  #attest(job: LiveJob): Call {
    const agent = this.#agent;
    const { random } = agent;
    const { state, jobId } = job;
    const all = firstSeats(state.workers.length);
    const rows = listSeats(state.committed)
      .filter(() => random.chance(0.92))
      .map((seat) => ({ seat, received: random.chance(0.9) ? all : BigInt(random.below(64)) }));
    if (random.chance(0.03)) rows.push({ seat: random.below(8), received: all });
    const signatures = rows.map(({ seat, received }) =>
      agent.sign(this.#workerOf(job, seat), "Attest", jobId, state.round, received, zeroHash),
    );
    const given = agent.mostly(signatures, () => signatures.slice(1), 0.99);
    const seats = rows.map(({ seat }) => seat);
    const received = rows.map((row) => row.received);
    return this.#board(agent.anybody(), "attest", jobId, seats, received, given);
  }

  #merge(job: LiveJob): Call {
    const agent = this.#agent;
    const { random } = agent;
    const { state, jobId } = job;
    const committed = listSeats(state.committed).filter(() => random.chance(0.92));
    const seats = agent.mostly(committed, () => [...committed, random.below(8)]);
    const idNext = agent.mostly(hashText(`model ${random.below(5)}`), () => zeroHash, 0.98);
    const included = agent.mostly(includedSeats(state), () => state.committed ^ 1n, 0.98);
    const signatures = seats.map((seat) =>
      agent.sign(this.#workerOf(job, seat), "Attest", jobId, state.round, included, idNext),
    );
    const given = agent.mostly(signatures, () => signatures.slice(1), 0.99);
    return this.#board(agent.anybody(), "merge", jobId, idNext, seats.map(BigInt), given);
  }

  #mergeProven(job: LiveJob): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const base = pointsOf(weightsOfId.get(job.modelId) ?? [1n]);
    const updates = listSeats(includedSeats(job.state)).map((seat): UpdateArgument => {
      const { idEnd, stepsRoot, points } = workOf(world, job, seat);
      return { seat: BigInt(seat), idEnd, stepsRoot, points };
    });
    if (updates.length === 0) return this.#board(agent.anybody(), "mergeProven", job.jobId, base, updates);
    const [first, ...rest] = updates as [UpdateArgument, ...UpdateArgument[]];
    const broken = random.pick<() => UpdateArgument[]>([
      () => rest,
      () => [...updates].reverse(),
      () => [...updates, first],
      () => [{ ...first, seat: 256n }, ...rest],
      () => [{ ...first, points: flip(first.points) }, ...rest],
      () => [{ ...first, points: "0x" }, ...rest],
      () => [{ ...first, idEnd: flip(first.idEnd) }, ...rest],
      () => [{ ...first, stepsRoot: flip(first.stepsRoot) }, ...rest],
    ]);
    const sent = agent.mostly(updates, broken, 0.85);
    return this.#board(
      agent.anybody(),
      "mergeProven",
      job.jobId,
      agent.mostly(base, () => flip(base), 0.97),
      sent,
    );
  }

  // At any time.

  /** Claims of finished rounds, holds and stakes. */
  collect(job: LiveJob): Call {
    const agent = this.#agent;
    const { random } = agent;
    const { state, jobId } = job;
    const seat = agent.mostly(random.below(Math.max(1, state.workers.length)), () => random.below(9), 0.95);
    const toRound = agent.mostly(state.round, () => random.below(state.round + 3), 0.8);
    return random.pick([
      () => this.#board(agent.anybody(), "claim", jobId, BigInt(seat), BigInt(toRound)),
      () => this.#board(agent.anybody(), "claimHold", jobId, BigInt(seat)),
      () => this.#board(agent.anybody(), "release", jobId, BigInt(seat)),
    ])();
  }

  /** Something that is at home in another phase, or by the wrong party. */
  stray(job: LiveJob): Call {
    const agent = this.#agent;
    const { random } = agent;
    const unknown = random.chance(0.05) ? { ...job, jobId: hashText("no job") } : job;
    const seats = countSeats(job.state.committed) > 0;
    return random.pick([
      () => this.#byRequester(unknown, random.pick(["stop", "cancel", "accept", "complain"])),
      () => this.#board(agent.anybody(), "tick", unknown.jobId),
      () => this.collect(unknown),
      () => this.#join(unknown),
      () => this.#ready(unknown),
      () => this.#decide(unknown),
      () => this.#board(agent.anybody(), "draw", unknown.jobId),
      () => this.#attest(unknown),
      () => (seats ? this.#prove(unknown) : this.#merge(unknown)),
      () => (job.spec.mode === JobMode.PROOF ? this.#mergeProven(unknown) : this.#merge(unknown)),
      () => this.#board(agent.anybody(), "mergeProven", unknown.jobId, "0x", []),
      () => {
        const from = agent.mostly(job.spec.requester, () => agent.anybody(), 0.8);
        return this.#board(from, "publishKeys", unknown.jobId, 0n, "0x01");
      },
    ])();
  }
}
