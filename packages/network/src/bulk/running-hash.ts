import { sha256 } from "@skynet/protocol";
import { createSha256 } from "#platform";

/** A hash that takes its bytes one after the other. */
export interface RunningHash {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

/** SHA-256 of a block that grows. */
export interface BlockHash {
  /** Takes the bytes up to `end`, as far as it does not have them. */
  follow(block: Uint8Array, end: number): void;
  /** Of the whole block. */
  of(block: Uint8Array): Promise<Uint8Array>;
}

/** Hashes what comes while it comes, where the platform can; otherwise all at the end. */
export function createBlockHash(): BlockHash {
  const hash = createSha256?.();
  let hashed = 0;
  const follow: BlockHash["follow"] = (block, end) => {
    if (hash === undefined || end <= hashed) return;
    hash.update(block.subarray(hashed, end));
    hashed = end;
  };
  return {
    follow,
    async of(block) {
      follow(block, block.length);
      return hash === undefined ? sha256(block) : hash.digest();
    },
  };
}
