// The same values from TypeScript and from the Solidity that the JobBoard runs.
import {
  batchIndex,
  drawSeed,
  isSelected,
  merkleDepth,
  merklePath,
  merkleRoot,
  segmentOfSlot,
  stepContext,
  toHex,
} from "@skynet/protocol";
import type { Hex, JobSpec } from "@skynet/protocol";
import fc from "fast-check";
import { getAddress } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Harness from "../generated/ProofHarness.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import { startTestChain, testKey, testSpec } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { addPoints, CURVE_ORDER, generator, infinity, inverseScalar, multiplyPoint, negate } from "./test-curve.ts";

let chain: TestChain;
let connection: Connection;
let address: Hex;

beforeAll(async () => {
  chain = await startTestChain(1);
  connection = await connect(chain.anvil.rpcUrl, testKey(0));
  const hash = await connection.walletClient.deployContract({ abi: Harness.abi, bytecode: Harness.bytecode });
  address = (await connection.publicClient.waitForTransactionReceipt({ hash })).contractAddress!;
});
afterAll(() => chain.stop());

/** Calls the harness; what it stores is forgotten. */
async function ask<Result>(functionName: string, args: readonly unknown[]): Promise<Result> {
  const request = { address, abi: Harness.abi as never, functionName, args } as never;
  return (await connection.publicClient.readContract(request)) as Result;
}

const word32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex);
const account = fc.uint8Array({ minLength: 20, maxLength: 20 }).map(toHex);

/** Audits that the rules allow. */
const audits = fc
  .record({
    auditSteps: fc.integer({ min: 1, max: 16 }),
    stratum: fc.integer({ min: 1, max: 64 }),
    segment: fc.integer({ min: 1, max: 4 }),
    auditBps: fc.integer({ min: 1, max: 10_000 }),
  })
  .map(({ stratum, ...rest }) => ({ ...rest, steps: stratum * rest.auditSteps * rest.segment }));

const terms = (change: Partial<JobSpec>): JobSpec => testSpec(chain.parties[0]!, change);

test("draws", async () => {
  await fc.assert(
    fc.asyncProperty(
      audits,
      word32,
      word32,
      fc.integer({ min: 0, max: 1023 }),
      fc.integer({ min: 0, max: 255 }),
      async (audit, value, jobId, round, seat) => {
        const spec = terms(audit);
        const seed = drawSeed(value, jobId, round);
        const segments = Array.from({ length: audit.auditSteps }, (_, slot) =>
          BigInt(segmentOfSlot(seed, spec, seat, slot)),
        );
        const args = [spec, value, jobId, BigInt(round), BigInt(seat)];
        expect(await ask("drawn", args)).toEqual([seed, isSelected(seed, seat, audit.auditBps), segments]);
      },
    ),
    { numRuns: 200 },
  );
});

test("statements and batches", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ stepVerifier: word32, dataRoot: word32, nBatches: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }) }),
      fc.record({ batchSeed: word32, jobId: word32, worker: account }),
      fc.integer({ min: 0, max: 1023 }),
      fc.integer({ min: 0, max: 65_535 }),
      async (change, { batchSeed, jobId, worker }, round, step) => {
        const index = batchIndex(batchSeed, worker, round, step, change.nBatches);
        const context = stepContext({
          chainId: 31337,
          jobBoard: address,
          verifierId: change.stepVerifier,
          jobId,
          worker,
          round,
          step,
          dataRoot: change.dataRoot,
          batchIndex: index,
        });
        const args = [terms(change), batchSeed, jobId, getAddress(worker), BigInt(round), BigInt(step)];
        expect(await ask("statement", args)).toEqual([context, index]);
      },
    ),
    { numRuns: 200 },
  );
});

test("Merkle paths, and none that leads elsewhere", async () => {
  const leaf = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const leaves = fc.uniqueArray(leaf, { minLength: 1, maxLength: 40, selector: toHex });
  await fc.assert(
    fc.asyncProperty(leaves, fc.nat(), fc.nat(), async (all, a, b) => {
      const [index, other] = [a % all.length, b % all.length];
      const root = toHex(merkleRoot(all));
      const path = merklePath(all, index).map(toHex);
      const contains = (changes: { leaf?: Hex; index?: number; count?: number; path?: Hex[] } = {}) => {
        const given = { leaf: toHex(all[index]!), index, count: all.length, path, ...changes };
        return ask<boolean>("contains", [root, given.leaf, BigInt(given.index), BigInt(given.count), given.path]);
      };
      expect(await contains()).toBe(true);
      expect(await contains({ index: other })).toBe(other === index);
      expect(await contains({ leaf: toHex(all[other]!) })).toBe(other === index);
      expect(await contains({ count: all.length + 1 })).toBe(false);
      expect(await contains({ path: [...path, root] })).toBe(false);
      expect(await contains({ index: all.length + index })).toBe(false);
    }),
    { numRuns: 40 },
  );
  for (const count of [0, 1, 2, 3, 4, 5, 1_024, 1_025, 60_000, 2 ** 31, 2 ** 32 - 1])
    expect(await ask("depth", [BigInt(count)])).toBe(BigInt(merkleDepth(count)));
});

test("points", async () => {
  const scalars = fc.bigInt({ min: 0n, max: CURVE_ORDER });
  await fc.assert(
    fc.asyncProperty(scalars, scalars, async (a, b) => {
      const [p, q] = [multiplyPoint(generator, a), multiplyPoint(generator, b)];
      expect(await ask("add", [p, q])).toEqual(addPoints(p, q));
      expect(await ask("add", [p, p])).toEqual(addPoints(p, p));
      expect(await ask("add", [p, negate(p)])).toEqual(infinity);
      expect(await ask("add", [p, infinity])).toEqual(p);
      expect(await ask("multiply", [p, b])).toEqual(multiplyPoint(p, b));
    }),
    { numRuns: 10 },
  );
  expect(await ask("add", [infinity, infinity])).toEqual(infinity);
  expect(await ask("multiply", [generator, CURVE_ORDER])).toEqual(infinity);
  for (let power = 1n; power <= 32_768n; power *= 2n)
    expect(await ask("inverseOfPower", [power])).toBe(inverseScalar(power));
});

test("what is not a point is refused", async () => {
  const field = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
  const bad = [
    { x: 1n, y: 3n },
    { x: 0n, y: 1n },
    { x: field, y: 0n },
    { x: 1n + field, y: 2n },
  ];
  for (const point of bad) {
    const calls: [string, unknown[]][] = [
      ["add", [point, generator]],
      ["add", [generator, point]],
      ["multiply", [point, 2n]],
    ];
    for (const [name, args] of calls) await expect(ask(name, args), name).rejects.toThrow("BadPoint()");
  }
});
