import { InvalidInputError } from "@skynet/protocol";
import { CID } from "multiformats/cid";

/** A CID of any version, as users write it. @throws InvalidInputError `BadCid` */
export function parseCid(text: string): CID {
  try {
    return CID.parse(text);
  } catch (cause) {
    throw new InvalidInputError("BadCid", `not a CID: ${text.slice(0, 100)}`, {
      cause,
      hint: "it looks like bafy... or Qm...",
    });
  }
}

/** Whether a text is a CID of any version. */
export function isCid(text: string): boolean {
  try {
    CID.parse(text);
    return true;
  } catch {
    return false;
  }
}
