import { decode, encode } from "@skynet/protocol";
import { z } from "zod";
import { SwarmError } from "./errors.ts";

/** Short names that people agree on, such as eu or us-east. */
const region = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "a region is a short name such as eu or us-east");

/**
 * What a job wants of its workers' machines and past. Nobody can enforce this on chain: workers that do not fit leave
 * the job alone, and an admitter may look at what they declare. Speed is not here: the windows ask for it.
 */
export const requirementsSchema = z.strictObject({
  memoryGiB: z.number().positive().max(65_536).optional(),
  cores: z.number().int().min(1).max(65_536).optional(),
  gpu: z.boolean().optional(),
  /** One of these. */
  regions: z.array(region).min(1).max(32).optional(),
  reputation: z
    .strictObject({
      /** Rounds that the worker was paid for, at least. */
      rounds: z.number().int().min(0).max(0xffff_ffff).optional(),
      /** Failed audits, at most. */
      slashes: z.number().int().min(0).max(0xffff).optional(),
    })
    .optional(),
});
export type Requirements = z.output<typeof requirementsSchema>;

const capabilitiesSchema = z.strictObject({
  version: z.literal(1),
  memoryGiB: z.number().positive(),
  cores: z.number().int().min(1),
  /** Name of a graphics processor that the worker may use. */
  gpu: z.string().min(1).max(100).optional(),
  region: region.optional(),
});
/** What a worker says about its machine. A hint: nobody checks it. */
export type Capabilities = z.output<typeof capabilitiesSchema>;

/** A worker's counters on chain, as far as requirements look at them. */
export interface Reputation {
  readonly roundsPaid: number;
  readonly slashes: number;
}

/** The registry takes no more. */
const MAX_CAPABILITIES_BYTES = 1024;

/**
 * The form in which a worker publishes its capabilities.
 * @throws SwarmError `BadCapabilities`
 */
export function encodeCapabilities(capabilities: Capabilities): Uint8Array {
  const parsed = capabilitiesSchema.safeParse(capabilities);
  if (!parsed.success)
    throw new SwarmError("BadCapabilities", `the capabilities are not valid: ${z.prettifyError(parsed.error)}`, {
      hint: "check --gpu and --region",
    });
  return encode(withoutUndefined(parsed.data));
}

/** Capabilities from the chain; undefined when they are not in this form. Anybody may have written them. */
export function decodeCapabilities(bytes: Uint8Array): Capabilities | undefined {
  if (bytes.length > MAX_CAPABILITIES_BYTES) return undefined;
  try {
    return capabilitiesSchema.safeParse(decode(bytes)).data;
  } catch {
    return undefined;
  }
}

/** Why a worker does not fit a job, in words; empty when it fits. */
export function unmetRequirements(
  wanted: Requirements,
  has: Capabilities | undefined,
  reputation: Reputation,
): string[] {
  const unmet: string[] = [];
  const { memoryGiB = 0, cores = 0, gpu = false, regions, reputation: floor = {} } = wanted;
  if ((has?.memoryGiB ?? 0) < memoryGiB)
    unmet.push(`${memoryGiB} GiB of memory are wanted, not ${has?.memoryGiB ?? 0}`);
  if ((has?.cores ?? 0) < cores) unmet.push(`${cores} cores are wanted, not ${has?.cores ?? 0}`);
  if (gpu && has?.gpu === undefined) unmet.push("a GPU is wanted");
  if (regions !== undefined && !regions.includes(has?.region ?? ""))
    unmet.push(`the region must be ${regions.join(" or ")}, not ${has?.region ?? "unknown"}`);
  const { rounds = 0, slashes = Number.POSITIVE_INFINITY } = floor;
  if (reputation.roundsPaid < rounds) unmet.push(`${rounds} paid rounds are wanted, not ${reputation.roundsPaid}`);
  if (reputation.slashes > slashes) unmet.push(`at most ${slashes} slashes are allowed, not ${reputation.slashes}`);
  return unmet;
}

/** The requirements as they are encoded: absent fields do not exist. */
export function requirementsOf(requirements: Requirements): Requirements | undefined {
  const { reputation, ...machine } = requirements;
  const made = withoutUndefined({ ...machine, reputation: reputation && withoutUndefined(reputation) });
  return Object.keys(made).length === 0 ? undefined : made;
}

function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Value;
}
