import { availableParallelism, totalmem } from "node:os";
import process from "node:process";
import type { RoutedChain } from "@skynet/contracts";
import { keccak256, toHex, type Hex } from "@skynet/protocol";
import { encodeCapabilities, type Capabilities } from "@skynet/swarm";

/** What a person says about a machine. */
export interface DeclaredCapabilities {
  /** Name of a graphics processor that jobs may count on. */
  readonly gpu?: string | undefined;
  readonly region?: string | undefined;
}

const GIB = 2 ** 30;

/**
 * Memory and cores as this process may use them; the rest is declared.
 * @throws SwarmError `BadCapabilities`
 */
export function measureCapabilities({ gpu, region }: DeclaredCapabilities): Capabilities {
  // 0 where nothing constrains the process.
  const constrained = process.constrainedMemory();
  const bytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  const capabilities: Capabilities = {
    version: 1,
    memoryGiB: Math.round((10 * bytes) / GIB) / 10,
    cores: availableParallelism(),
    ...(gpu === undefined ? {} : { gpu }),
    ...(region === undefined ? {} : { region }),
  };
  // What could not be published is refused now, not at the first job.
  encodeCapabilities(capabilities);
  return capabilities;
}

/** Registers the worker with its capabilities (and its payout address), or brings those on the chain up to date. */
export async function ensureRegistered(
  chain: RoutedChain,
  capabilities: Capabilities,
  payout: Hex = chain.address,
): Promise<void> {
  const bytes = encodeCapabilities(capabilities);
  if (!(await chain.worker(chain.address)).registered) await chain.register({ payout, capabilities: bytes });
  else if ((await chain.capabilitiesHash()) !== toHex(keccak256(bytes))) await chain.setCapabilities(bytes);
}
