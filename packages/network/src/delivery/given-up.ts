import type { Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";

/** Why a message got no receipt. */
export const stopped = () => new NetworkError("Stopped", "the node was stopped before the message was confirmed");

export const forgotten = (to: Hex) =>
  new NetworkError("Forgotten", `${to} has forgotten this node since, and may have handled the message`, {
    hint: "send it again if it may be handled twice; what is sent from now on is handled once",
  });

export const lostNumbers = (to: Hex) =>
  new NetworkError("Forgotten", `its number on this disk is damaged; ${to} may have handled the message`, {
    hint: "send it again if it may be handled twice; what is sent from now on is handled once",
  });

export const late = (to: Hex, gone: boolean) =>
  new NetworkError(
    "NotDelivered",
    `${to} ${gone ? "is no longer a member of the job" : "did not confirm the message before its deadline"}`,
    { hint: "it may be offline, or share no relay with this node; it may still have got the message" },
  );
