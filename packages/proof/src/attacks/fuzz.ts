import type { FuzzOptions } from "../fuzz.ts";
import { CHECKS } from "../script/rejection.ts";
import { randomIntegers } from "../testing.ts";
import type { SubjectName } from "./attack.ts";
import { withChain } from "./chain-fuzz.ts";
import { mutant, type Submission } from "./mutations.ts";
import { assertPasses, assertRefused, attacksOn, Contracts, createSubjects, type Subjects, verdict } from "./run.ts";
import { stepSubject } from "./subject.ts";

async function withSubjects<T>(hiding: boolean, work: (subjects: Subjects) => Promise<T>): Promise<T> {
  const subjects = await createSubjects(hiding);
  try {
    return await work(subjects);
  } finally {
    for (const subject of subjects.values()) await subject.close();
  }
}

/**
 * The malicious provers, all of them, in both modes: both verifiers refuse each at its check, and accept it without each
 * relation or check that it needs gone. `count` limits the number of attacks in each mode.
 */
async function fuzzAttacks({ count, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const names = new Set<string>();
  const report = { hiding: 0, plain: 0, deletions: 0 };
  await withChain(async (chain) => {
    const contracts = new Contracts(chain);
    for (const hiding of [true, false])
      await withSubjects(hiding, async (subjects) => {
        for (const attack of attacksOn(hiding).slice(0, count)) {
          await assertRefused(subjects, contracts, attack);
          report[hiding ? "hiding" : "plain"]++;
          for (const name of attack.without) {
            await assertPasses(subjects, contracts, attack, name);
            names.add(name);
            report.deletions++;
          }
          onProgress?.(Math.ceil((report.hiding + report.plain) / 2));
        }
      });
  });
  return { ...report, names: names.size };
}

/** Calls in flight: anvil works on them while this thread verifies. */
const AT_ONCE = 16;

/**
 * Mutated proofs of steps and inferences: none is accepted, and TypeScript and the generated contract agree on each.
 * Where a proof violates several checks they may name different ones, because they check in different orders.
 */
async function fuzzMutations({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const checks: Record<string, number> = {};
  let sameCheck = 0;
  await withChain((chain) =>
    withSubjects(true, async (subjects) => {
      const valid = await validProofs(subjects);
      let done = 0;
      for (const [name, submissions] of valid) {
        const contracts = new Contracts(chain);
        const share = Math.ceil((count * (name === "step" ? 3 : 1)) / 5);
        const end = Math.min(count, done + share);
        while (done < end) {
          const batch = Array.from({ length: Math.min(AT_ONCE, end - done) }, (_, i) => {
            const random = randomIntegers(seed * 1_000_003 + done + i);
            const own = random(0, submissions.length - 1);
            const others = submissions.filter((_, k) => k !== own);
            return { at: done + i, ...mutant(random, submissions[own]!, others[random(0, others.length - 1)]!) };
          });
          await Promise.all(
            batch.map(async (own) => {
              const forgery = { ...own, tensors: new Map(), omitted: new Set<string>() };
              const subject = subjects.get(name)!;
              const onChain = contracts.verdict(subject, forgery);
              const here = await verdict(subject, forgery);
              if (here === "accepted" || !CHECKS.some((check) => check === (here as never)))
                throw new Error(`mutant ${own.at} of seed ${seed} (${own.kind}): TypeScript says ${here}`);
              const there = await onChain;
              if (!CHECKS.some((check) => check === (there as never)))
                throw new Error(
                  `mutant ${own.at} of seed ${seed} (${own.kind}): the contract says ${there}, not ${here}`,
                );
              checks[there] = (checks[there] ?? 0) + 1;
              if (here === there) sameCheck++;
            }),
          );
          done += batch.length;
          onProgress?.(done);
        }
      }
    }),
  );
  return { mutants: count, sameCheck, checks };
}

/** Proofs of different statements of the same circuit: other batches, other weights, another context. */
async function validProofs(subjects: Subjects): Promise<[SubjectName, Submission[]][]> {
  const step = subjects.get("step")!;
  const second = await stepSubject({}, 2);
  try {
    const context = `0x${"34".repeat(32)}` as const;
    const steps = [await step.prove(), await step.prove({ statement: () => ({ context }) }), await second.prove()];
    const inferences = async (name: SubjectName): Promise<[SubjectName, Submission[]]> => {
      const subject = subjects.get(name)!;
      return [name, [await subject.prove(), await subject.prove({ statement: () => ({ context }) })]];
    };
    return [
      ["step", steps],
      await inferences("inference"),
      await inferences("committed input"),
      await inferences("committed inference"),
    ];
  } finally {
    await second.close();
  }
}

export const attackFuzzers = { "proof-attacks": fuzzAttacks, "proof-mutations": fuzzMutations };
