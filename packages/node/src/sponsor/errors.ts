import { SkyNetError } from "@skynet/protocol";

/** Stable codes of what a sponsor or its client says by itself; refusals of the contracts keep their own codes. */
export type SponsorErrorCode =
  | "Malformed" // the request does not parse, or is no call of a contract of SkyNet in its one encoding
  | "TooLarge" // more bytes or rows than this kind of call may have
  | "NotOffered" // a call that is not sponsored
  | "NotMyJob" // the sponsor does not pay for this job
  | "NotEntitled" // the call is not for the one who asks, or it has no part in the job
  | "BadSignature" // a signature in the call is not of whom it names
  | "TooDear" // the call takes more gas than its kind should
  | "BudgetSpent" // for today, for this job, or for this worker
  | "RateLimited" // too many requests
  | "Busy" // the queue is full, or transactions from before a restart are still on their way
  | "SponsorFailed" // the sponsor cannot send: no ether, no chain
  | "NoSponsor"; // nobody pays, and the own wallet cannot

export class SponsorError extends SkyNetError {
  declare readonly code: SponsorErrorCode;

  constructor(code: SponsorErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(code, message, options);
  }
}
