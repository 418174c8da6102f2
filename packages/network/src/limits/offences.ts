import { NetworkError, type NetworkErrorCode } from "../errors.ts";
import type { Offence } from "./scores.ts";

/** What a peer is to blame for when handling it failed with this code; the rest may happen to anybody. */
const OFFENCES: Readonly<Partial<Record<NetworkErrorCode, Offence>>> = {
  Malformed: "undecodable",
  TooLarge: "oversized",
  BadSignature: "badSignature",
  BadReceipt: "badSignature",
  BadBlock: "badContent",
  Stalled: "stalled",
  Flooded: "protocol",
};

/** Errors of the multiplexer that only a peer can cause that breaks its rules. */
const PROTOCOL_ERRORS = new Set([
  "InvalidFrameError",
  "UnRequestedPingError",
  "NotMatchingPingError",
  "StreamAlreadyExistsError",
  "ReceiveWindowExceededError",
  "BothClientsError",
  "DecodeInvalidVersionError",
  "InvalidParametersError",
  "MaxEarlyStreamsError",
]);

/** Errors of libp2p's readers of frames with a length. */
const FRAME_ERRORS: Readonly<Record<string, Offence>> = {
  InvalidDataLengthError: "oversized",
  InvalidDataLengthLengthError: "undecodable",
  InvalidMessageLengthError: "oversized",
};

/** The offence behind an error that ended a stream or connection; undefined if it may be nobody's fault. */
export function offenceOf(error: unknown): Offence | undefined {
  if (error instanceof NetworkError) return OFFENCES[error.code];
  if (!(error instanceof Error)) return undefined;
  return PROTOCOL_ERRORS.has(error.name) ? "protocol" : FRAME_ERRORS[error.name];
}
