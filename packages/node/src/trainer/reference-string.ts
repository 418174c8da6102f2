import {
  assertUsable,
  createDevelopmentString,
  decodeReferenceString,
  prefixOf,
  type ReferenceString,
} from "@skynet/proof";
import { readInputFile } from "../runtime/files.ts";

/**
 * The reference string of a file, or the one that all development chains share.
 * @throws FileError `FileNotFound`; DataError `BadReferenceString`; ProofError `InsecureReferenceString` when it is not
 * fit for the chain
 */
export async function loadReferenceString(
  file: string | undefined,
  blockBits: number,
  chainId: number,
): Promise<ReferenceString> {
  // Before any work: without a file there is only the development string.
  if (file === undefined) {
    assertUsable({ insecure: true }, chainId);
    return createDevelopmentString({ blockBits });
  }
  const string = await decodeReferenceString(await readInputFile(file, "the reference string"));
  assertUsable(string, chainId);
  return prefixOf(string, blockBits);
}
