import { keccak256, toHex, type Hex } from "@skynet/protocol";
import { ZERO_32 } from "./dataset-plan.ts";
import type { JobPeer } from "./job-peer.ts";
import { bitmapFrom } from "./messages.ts";
import type { SignatureBoard } from "./signature-board.ts";

/** Names the block with the wrapped keys in 32 bytes. */
export function keyRefOf(cid: string): Hex {
  return toHex(keccak256(new TextEncoder().encode(cid)));
}

/**
 * Puts the other workers' contract signatures on the board, each checked as the contract will check it. Those for another
 * round or another key count when the chain shows that.
 */
export function collectSignatures(peer: JobPeer, board: SignatureBoard): void {
  const { chain, log } = peer.modules;
  const verified = async (from: Hex, check: () => Promise<boolean>, use: (seat: number) => void): Promise<void> => {
    const seat = peer.seatOf(from);
    if (seat < 0 || from === chain.self) return;
    if (await check()) use(seat);
    else log.debug({ from }, "message with a wrong contract signature dropped");
  };
  peer.on("ready", async (from, { signature }) => {
    const keys = peer.snapshot?.keys;
    if (keys === undefined) return;
    const statement = keyRefOf(keys.cid);
    return verified(
      from,
      () => chain.isReadySignature(from, statement, signature as Hex),
      (seat) => board.add("ready", seat, { statement, signature: signature as Hex, received: 0n }),
    );
  });
  peer.on("attest", async (from, { round, received, signature, updates }) => {
    const set = bitmapFrom(received);
    if (round !== peer.snapshot?.round) return;
    return verified(
      from,
      () => chain.isAttestSignature(from, round, set, ZERO_32, signature as Hex),
      (seat) => {
        board.add(`attest/${round}`, seat, { statement: "attest", signature: signature as Hex, received: set });
        for (const [held, cid] of updates) peer.noteUpdateSource(held, cid, from);
      },
    );
  });
  peer.on("merge", async (from, { round, included, idNext, signature }) => {
    const set = bitmapFrom(included);
    if (round !== peer.snapshot?.round) return;
    const statement = `${set}/${toHex(idNext)}`;
    return verified(
      from,
      () => chain.isAttestSignature(from, round, set, toHex(idNext), signature as Hex),
      (seat) => board.add(`merge/${round}`, seat, { statement, signature: signature as Hex, received: set }),
    );
  });
}
