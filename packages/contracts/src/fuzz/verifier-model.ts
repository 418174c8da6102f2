import { verifierIdOf } from "@skynet/protocol";
import type { Hex, VerifierDescription } from "@skynet/protocol";
import { keccak256 } from "viem";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Table } from "./journal.ts";
import { answerOf, callOf, hashWords } from "./words.ts";

interface Entry extends VerifierDescription {
  readonly verifier: Hex;
  readonly since: number;
  readonly codehash: Hex;
  readonly registrar: Hex;
}

/** What TestVerifier takes for a proof of a statement. */
export const testProof = (context: Hex, idIn: Hex, idOut: Hex, idData: Hex): Hex =>
  hashWords(context, idIn, idOut, idData);

/** Twin of `VerifierRegistry.sol` for verifiers whose code the tests know. */
export class VerifierModel {
  readonly entries: Table<Entry | undefined>;
  readonly #env: Environment;
  /** Code hash and length of the contracts that can be registered. */
  readonly #code = new Map<Hex, { readonly hash: Hex; readonly size: number }>();

  constructor(env: Environment, journal: Journal) {
    this.#env = env;
    this.entries = new Table<Entry | undefined>(journal, "verifiers", undefined, ([id], entry) => ({
      to: env.addresses.verifierRegistry,
      data: callOf("entry(bytes32)", id as Hex),
      answer:
        entry === undefined
          ? answerOf(0, 0, 0, 0, 0, 0, 0, 0, 0)
          : answerOf(
              entry.verifier,
              entry.since,
              entry.kind,
              entry.weightBlocks,
              entry.codehash,
              entry.circuitHash,
              entry.srsHash,
              entry.weightsTag,
              entry.registrar,
            ),
    }));
  }

  /** Tells the model about a contract. */
  addCode(address: Hex, code: Hex): void {
    this.#code.set(address, { hash: keccak256(code), size: (code.length - 2) / 2 });
  }

  codehash(address: Hex): Hex {
    return this.#code.get(address)!.hash;
  }

  isLive(id: Hex): boolean {
    const entry = this.entries.get(id);
    return entry !== undefined && this.#code.get(entry.verifier)?.hash === entry.codehash;
  }

  verify(id: Hex, context: Hex, idIn: Hex, idOut: Hex, idData: Hex, proof: Hex): boolean {
    return this.isLive(id) && proof === testProof(context, idIn, idOut, idData);
  }

  readonly calls = {
    register: (from: Hex, description: VerifierDescription, verifier: Hex): void => {
      need(description.kind === 1 || description.kind === 2, "BadKind");
      need(description.weightBlocks > 0, "BadBlocks");
      const code = this.#code.get(verifier);
      need(code !== undefined && code.size >= 24, "BadCode");
      const id = verifierIdOf(description, code.hash);
      if (this.entries.get(id) !== undefined) return;
      const entry = { ...description, verifier, since: this.#env.block, codehash: code.hash, registrar: from };
      this.entries.set([id], entry);
    },
  };
}
