import { SkyNetError } from "@skynet/protocol";

/** Stable codes of everything that this package raises on purpose. */
export type NetworkErrorCode =
  | "BadKey" // a private key, public key or PeerId has the wrong form
  | "BadOption" // an option of the host has the wrong form
  | "PortInUse" // another process listens on the address
  | "TooLarge" // more bytes than the protocol allows
  | "Malformed" // bytes from the network that do not parse
  | "BadSignature" // the signature does not fit message and signer
  | "CannotDecrypt" // no key opens the bytes
  | "Unreachable" // the peer is not known, cannot be dialled, or went away
  | "Refused" // the peer answered that we may not
  | "NotFound" // the peer answered that it does not have it
  | "BadBlock" // the bytes do not have the hash that was asked for
  | "Rejected" // the peer looked at the update or message and does not accept it
  | "NotDelivered" // no receipt before the deadline
  | "Forgotten" // the recipient may have handled the message, and one side has lost what it knew of the other
  | "BadReceipt" // the receipt is forged or for something else
  | "BrokenStore" // the file of messages and receipts cannot be opened
  | "QueueFull" // too many messages wait for one recipient
  | "Stalled" // the peer stopped sending
  | "NoRelay" // no relay is known, or none answers
  | "NotARelay" // the peer answers, but does not relay messages of this network
  | "BadList" // a list of relays that is malformed, forged, expired or older than the one that is known
  | "Flooded" // the peer sent more than it may
  | "Overloaded" // all peers together take more than this node has
  | "BrokenHistory" // the file of a relay's history cannot be opened
  | "Stopped"; // the host was stopped

/** An error of the network, told apart by `code`. */
export class NetworkError extends SkyNetError {
  declare readonly code: NetworkErrorCode;

  constructor(code: NetworkErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(code, message, options);
  }
}

/** Text of anything that was thrown, for logs and reasons. */
export function reasonOf(error: unknown): string {
  const message = messageOf(error);
  if (message !== undefined) return message;
  if (error instanceof Error) return error.name;
  return error instanceof Event ? "the connection was refused or closed" : String(error);
}

/** Events of failed sockets have a message or carry an error; one error for several attempts has theirs. */
function messageOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { message, error: inner, errors } = error as { message?: unknown; error?: unknown; errors?: unknown };
  if (typeof message === "string" && message !== "") return message;
  if (Array.isArray(errors) && errors.length > 0)
    return [...new Set(errors.map((one) => messageOf(one) ?? String(one)))].join(", ");
  return messageOf(inner);
}
