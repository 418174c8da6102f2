import type { AttestationRow, Hex, JobEvent, JobEventType, JobFlows, JobSpec, JobState } from "@skynet/protocol";
import type { PublicClient } from "viem";
import { decodeErrorResult, getContractAddress, zeroAddress, zeroHash } from "viem";
import * as Harness from "../generated/JobMachineHarness.ts";
import { errorsAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { lowerAddresses } from "./chain/events.ts";
import { create2Calldata } from "./deployment/addresses.ts";
import { CREATE2_PROXY } from "./deployment/create2.ts";
import { deploySkyNet } from "./deployment/deploy.ts";

/** Order of `Kind` in JobMachineHarness.sol. */
const kinds: readonly JobEventType[] = [
  "join",
  "cancel",
  "stop",
  "accept",
  "complain",
  "ready",
  "commit",
  "abstain",
  "leave",
  "draw",
  "prove",
  "attest",
  "merge",
  "tick",
  "claim",
  "claimHold",
  "release",
];

interface EncodedEvent {
  readonly kind: number;
  readonly time: bigint;
  readonly who: Hex;
  readonly seat: bigint;
  readonly index: bigint;
  readonly set: bigint;
  readonly rows: readonly AttestationRow[];
}

function encodeEvent(event: JobEvent): EncodedEvent {
  const empty = { who: zeroAddress, seat: 0n, index: 0n, set: 0n, rows: [] };
  const base = { ...empty, kind: kinds.indexOf(event.type), time: BigInt(event.at) };
  switch (event.type) {
    case "join":
      return { ...base, who: event.worker, set: event.minPrice };
    case "ready":
      return { ...base, set: event.seats };
    case "draw":
      return { ...base, set: event.selected };
    case "prove":
      return { ...base, seat: BigInt(event.seat), index: BigInt(event.slot) };
    case "attest":
      return { ...base, rows: event.rows };
    case "claim":
      return { ...base, seat: BigInt(event.seat), index: BigInt(event.toRound) };
    case "merge":
    case "tick":
      return base;
    default:
      return "by" in event ? { ...base, who: event.by } : { ...base, seat: BigInt(event.seat) };
  }
}

/** What the Solidity machine says about a step: the state of the TypeScript machine, or the name of the error. */
export interface HarnessStep {
  readonly error?: string;
  readonly after?: JobState;
}

export interface HarnessRun {
  readonly posted: HarnessStep;
  readonly steps: readonly HarnessStep[];
}

interface RawStep {
  readonly failure: Hex;
  readonly state: Record<string, unknown>;
  readonly flows: JobFlows;
}

/** The error's name; panics and empty reverts stay visible as their selector, so they never equal a rule. */
function errorName(selector: Hex): string {
  try {
    return decodeErrorResult({ abi: errorsAbi, data: `${selector}${"0".repeat(64)}` }).errorName;
  } catch {
    return selector;
  }
}

function readStep({ failure, state, flows }: RawStep): HarnessStep {
  if (failure !== "0x00000000") return { error: errorName(failure) };
  // the machine knows nothing of these
  const { modelId: _model, batchSeed: _batches, ticket: _ticket, seed: _seed, ...view } = state;
  return { after: lowerAddresses({ ...view, ...flows }) as unknown as JobState };
}

/** Puts the harness on a development chain and returns a function that plays a trace through it in one eth_call. */
export async function createHarness(
  rpcUrl: string,
  privateKey: Hex,
): Promise<(spec: JobSpec, events: readonly JobEvent[]) => Promise<HarnessRun>> {
  const connection = await connect(rpcUrl, privateKey);
  const { publicClient, walletClient } = connection;
  await deploySkyNet(connection);
  const bytecode: Hex = Harness.bytecode;
  const address = getContractAddress({ opcode: "CREATE2", from: CREATE2_PROXY, salt: zeroHash, bytecode });
  if ((await publicClient.getCode({ address })) === undefined) {
    const hash = await walletClient.sendTransaction({ to: CREATE2_PROXY, data: create2Calldata(bytecode) });
    await publicClient.waitForTransactionReceipt({ hash });
  }
  return (spec, events) => play(publicClient, address, spec, events);
}

async function play(
  client: Pick<PublicClient, "readContract">,
  address: Hex,
  spec: JobSpec,
  events: readonly JobEvent[],
): Promise<HarnessRun> {
  const [posted, steps] = (await client.readContract({
    address,
    abi: Harness.abi,
    functionName: "run",
    args: [spec, 0n, 1n, events.map(encodeEvent)],
  })) as unknown as [RawStep, readonly RawStep[]];
  return { posted: readStep(posted), steps: steps.map(readStep) };
}
