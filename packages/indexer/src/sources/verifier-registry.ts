import { verifierRegistryAbi } from "@skynet/contracts";
import { cleanText } from "@skynet/protocol";
import { defineSource, lower, searchText } from "./source.ts";

const tables = [
  {
    name: "verifiers",
    searchable: true,
    definition: `
CREATE TABLE verifiers (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, block INTEGER NOT NULL, address TEXT NOT NULL,
  registrar TEXT NOT NULL, kind INTEGER NOT NULL, circuit TEXT NOT NULL, srs TEXT NOT NULL, weights_tag TEXT NOT NULL,
  weight_blocks INTEGER NOT NULL, source TEXT NOT NULL, search TEXT NOT NULL) STRICT;
CREATE INDEX verifiers_circuit ON verifiers(circuit, position);`,
  },
] as const;

/** Verifier contracts; an entry proves nothing about them. */
export const verifierRegistry = defineSource({
  name: "verifierRegistry",
  tables,
  abi: verifierRegistryAbi,
  address: (all) => all.verifierRegistry,
  on: (writer, { eventName, args }, { block }) => {
    if (eventName !== "VerifierRegistered") return;
    const { kind, circuitHash, srsHash, weightsTag, weightBlocks } = args.description;
    const source = cleanText(args.source);
    const [id, address, registrar] = [args.verifierId, lower(args.verifier), lower(args.registrar)];
    writer.insert("verifiers", {
      id,
      block,
      address,
      registrar,
      kind,
      circuit: circuitHash,
      srs: srsHash,
      weights_tag: weightsTag,
      weight_blocks: weightBlocks,
      source,
      search: searchText(id, address, circuitHash, source),
    });
  },
});
