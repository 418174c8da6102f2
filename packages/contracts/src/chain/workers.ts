import { fromHex, keccak256, toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { encodeEventTopics, parseEventLogs } from "viem";
import { lower } from "../deployment/addresses.ts";
import { jobBoardAbi, workerRegistryAbi } from "./abi.ts";
import { readLogs } from "./events.ts";
import type { ReadContext } from "./reads.ts";
import type { Chain } from "./types.ts";

type WorkerReads = Pick<Chain, "capabilities" | "capabilitiesHash" | "leaving" | "unbonding" | "jobsOf">;

type Topics = (Hex | null)[];

/** What the registry and the jobs say about workers, beyond key and stake. */
export function createWorkerReads(context: ReadContext): WorkerReads {
  const { connection, addresses, address, firstBlock } = context;
  const { publicClient, reach } = connection;
  const registry = { address: addresses.workerRegistry, abi: workerRegistryAbi } as const;
  const range = async (fromBlock: bigint) => ({
    fromBlock,
    toBlock: await reach(() => publicClient.getBlockNumber({ cacheTime: 0 })),
  });
  return {
    capabilities: async (worker = address) => {
      const read = { ...registry, args: [worker] } as const;
      const [hash, [, since]] = await reach(() =>
        Promise.all([
          publicClient.readContract({ ...read, functionName: "capabilitiesHash" }),
          publicClient.readContract({ ...read, functionName: "workers" }),
        ]),
      );
      if (since === 0) return undefined;
      const [kind, of] = encodeEventTopics({ abi: workerRegistryAbi, eventName: "Registered", args: { worker } });
      const [later] = encodeEventTopics({ abi: workerRegistryAbi, eventName: "CapabilitiesSet" });
      const topics = [[kind, later as Hex], of as Hex];
      const logs = await readLogs(connection, addresses.workerRegistry, topics, await range(BigInt(since)));
      const declared = parseEventLogs({
        abi: workerRegistryAbi,
        eventName: ["Registered", "CapabilitiesSet"],
        logs,
        strict: true,
      }).map(({ args }) => fromHex(args.capabilities));
      return declared.findLast((bytes) => toHex(keccak256(bytes)) === hash);
    },
    capabilitiesHash: (worker = address) =>
      reach(() => publicClient.readContract({ ...registry, functionName: "capabilitiesHash", args: [worker] })),
    leaving: async (token, worker = address) => {
      const [amount, due] = await reach(() =>
        publicClient.readContract({ ...registry, functionName: "exits", args: [worker, token] }),
      );
      return { amount, due };
    },
    unbonding: async () =>
      Number(await reach(() => publicClient.readContract({ ...registry, functionName: "unbonding" }))),
    jobsOf: async (worker = address) => {
      const topics = encodeEventTopics({ abi: jobBoardAbi, eventName: "Joined", args: { worker } }) as Topics;
      const logs = await readLogs(connection, addresses.jobBoard, topics, await range(firstBlock));
      const own = logs.filter((log) => lower(log.address) === addresses.jobBoard);
      return parseEventLogs({ abi: jobBoardAbi, eventName: "Joined", logs: own, strict: true }).map(({ args }) => ({
        jobId: args.jobId,
        seat: Number(args.seat),
      }));
    },
  };
}
