// Gas of a job with 1,024 rounds: the longest that the contract allows. One seat plays all of it.
import type { Hex } from "@skynet/protocol";
import { encodeFunctionData, keccak256, toHex, zeroHash } from "viem";
import { jobBoardAbi } from "../chain/abi.ts";
import { testMeta, testSpec } from "../test-chain.ts";
import type { TestChain } from "../test-chain.ts";
import type { Call, Crowd } from "./crowd.ts";
import { sendAll } from "./crowd.ts";
import type { GasMeter } from "./meter.ts";

const ROUNDS = 1024;
/** Rounds that are sent at once. */
const BATCH = 128;
const SEAT = 0;
const ROUND_GAS = 1_000_000n;

/** Commit, attest and merge of one round by the only seat. */
async function roundCalls(crowd: Crowd, jobId: Hex, round: number): Promise<Call[]> {
  const to = crowd.requester.addresses.jobBoard;
  const idNext = keccak256(toHex(round + 1));
  const sign = crowd.sign.bind(crowd, SEAT);
  const commit = await sign("Commit", { jobId, round, idEnd: idNext, stepsRoot: zeroHash });
  const attest = await sign("Attest", { jobId, round, received: 1n, idNext: zeroHash });
  const merge = await sign("Attest", { jobId, round, received: 1n, idNext });
  const commitment = [jobId, [{ seat: SEAT, idEnd: idNext, stepsRoot: zeroHash }], [commit]] as const;
  return [
    encodeFunctionData({ abi: jobBoardAbi, functionName: "commitFor", args: commitment }),
    encodeFunctionData({ abi: jobBoardAbi, functionName: "attest", args: [jobId, [SEAT], [1n], [attest]] }),
    encodeFunctionData({ abi: jobBoardAbi, functionName: "merge", args: [jobId, idNext, [0n], [merge]] }),
  ].map((data) => ({ to, data }));
}

export async function measureRounds(crowd: Crowd, chain: TestChain, meter: GasMeter): Promise<void> {
  const { requester } = crowd;
  const day = 86_400;
  const windows = { commitWindow: day, proveWindow: day, mergeWindow: day };
  const size = { seats: 1, minSeats: 1, averaging: 1, rounds: ROUNDS, missPenalty: 0n };
  const { jobId } = await requester.post(testSpec(requester, { ...size, ...windows }), testMeta);
  await requester.joinFor(jobId, await crowd.acceptances(jobId, [SEAT]));
  await requester.ready(jobId, zeroHash, await crowd.ready(jobId, [SEAT]));
  for (let from = 0; from < ROUNDS; from += BATCH) {
    const rounds = Array.from({ length: BATCH }, (_, i) => from + i);
    const calls = await Promise.all(rounds.map((round) => roundCalls(crowd, jobId, round)));
    // a round that fails makes all later ones fail, and the last one is checked
    await sendAll(chain, calls.flat(), ROUND_GAS);
  }
  meter.note("JobBoard.claim", "1,024 rounds at once", await requester.claim(jobId, SEAT, ROUNDS));
  meter.note("JobBoard.accept", "after 1,024 rounds", await requester.accept(jobId));
  meter.note("JobBoard.claimHold", "1,024 rounds", await requester.claimHold(jobId, SEAT));
  meter.note("JobBoard.release", "one call", await requester.release(jobId, SEAT));
}
