import { ChainError, DEVELOPMENT_CHAIN_ID, type Chain } from "@skynet/contracts";
import {
  fromHex,
  keccak256,
  SkyNetError,
  toHex,
  VerifierKind,
  verifierIdOf,
  type Hex,
  type JobSpec,
  type VerifierDescription,
} from "@skynet/protocol";
import type { CircuitChoices, ProofShape, Trainer } from "@skynet/swarm";
import { formatGas, shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";

/** The verifier of a model as this node has generated it: nobody else's word is taken for it. */
export interface OwnVerifier {
  readonly description: VerifierDescription;
  readonly codehash: Hex;
  readonly verifierId: Hex;
  readonly initcode: Hex;
}

/** Generates and compiles the verifier of the loaded model. */
export async function generateOwnVerifier(trainer: Trainer, shape: ProofShape): Promise<OwnVerifier> {
  const { initcode, runtime } = await trainer.verifier();
  const { circuitHash, srsHash, weightsTag, weightBlocks } = shape;
  const description = { kind: VerifierKind.STEP, circuitHash, srsHash, weightsTag, weightBlocks };
  const codehash = toHex(keccak256(fromHex(runtime)));
  return { description, codehash, verifierId: verifierIdOf(description, codehash), initcode };
}

/** Puts the verifier on the chain unless it is there, and compares what is there with the own one. */
export async function ensureVerifier(chain: Chain, own: OwnVerifier, source: string, ui: Ui): Promise<void> {
  const { at, receipt } = await chain.deployVerifier(own.description, own.initcode, { source });
  if (receipt) ui.line(`deployed the model's verifier at ${shortId(at)} (${formatGas(receipt.gasUsed)} gas)`);
  else ui.line(`the model's verifier is on chain at ${shortId(at)}`);
  await compareVerifier(chain, own, own.verifierId);
}

/**
 * Compares the registry's entry with the own verifier, field by field.
 * @throws SkyNetError `WrongVerifier`
 */
export async function compareVerifier(
  chain: Pick<Chain, "verifierEntry">,
  own: OwnVerifier,
  verifierId: Hex,
): Promise<void> {
  const entry = await chain.verifierEntry(verifierId).catch((error: unknown) => {
    if (error instanceof ChainError && error.code === "UnknownVerifier") throw wrong("it is not registered", error);
    throw error;
  });
  const { description, codehash } = own;
  const differing = [
    ["kind", entry.kind !== description.kind],
    ["circuit", entry.circuitHash !== description.circuitHash],
    ["reference string", entry.srsHash !== description.srsHash],
    ["layout of the weights", entry.weightsTag !== description.weightsTag],
    ["number of weight blocks", entry.weightBlocks !== description.weightBlocks],
    ["code", entry.codehash !== codehash],
  ].flatMap(([name, differs]) => (differs ? [name] : []));
  if (differing.length > 0) throw wrong(`another ${differing.join(", another ")} than this node generates`);
}

function wrong(reason: string, cause?: unknown): SkyNetError {
  return new SkyNetError("WrongVerifier", `the job's verifier on chain cannot be trusted: ${reason}`, {
    cause,
    hint: "it could take false proofs or refuse honest ones; check that both sides run the same version and reference string",
  });
}

/**
 * The contract that draws the audits.
 * @throws SkyNetError `BadBeacon` for the test beacon on any chain but a development chain
 */
export function beaconOf(chain: Chain, name: "blockhash" | "test"): Hex {
  if (name === "blockhash") return chain.addresses.blockhashBeacon;
  if (chain.chainId === DEVELOPMENT_CHAIN_ID) return chain.addresses.testBeacon;
  throw badBeacon("the test beacon is for development chains: whoever builds blocks would choose the audits");
}

/** @throws SkyNetError `BadBeacon` unless the job's beacon is one that this node knows and the chain is fit for */
export function checkBeacon(chain: Pick<Chain, "chainId" | "addresses">, { beacon }: Pick<JobSpec, "beacon">): void {
  const known = [chain.addresses.blockhashBeacon];
  if (chain.chainId === DEVELOPMENT_CHAIN_ID) known.push(chain.addresses.testBeacon);
  if (!known.includes(beacon))
    throw badBeacon(`the job draws its audits from ${beacon}, which this node does not know`);
}

/** @throws SkyNetError `NoZeroKnowledge` for a job that does without it on any chain but a development chain */
export function checkZeroKnowledge({ chainId }: Pick<Chain, "chainId">, { hiding }: CircuitChoices): void {
  if (hiding === false && chainId !== DEVELOPMENT_CHAIN_ID)
    throw new SkyNetError("NoZeroKnowledge", `a job without zero knowledge would show its data on chain ${chainId}`, {
      hint: "verification.zeroKnowledge: false and --no-zk are for development chains",
    });
}

const badBeacon = (message: string) =>
  new SkyNetError("BadBeacon", message, { hint: "use verification.beacon: blockhash" });
