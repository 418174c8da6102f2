import { SkyNetError } from "@skynet/protocol";

/**
 * Codes: `BadUpdate` (an update does not match its commitment), `NotYet` (it came before this node saw the commitment),
 * `BadMetadata`, `BadKeys`, `NoState` (no peer could give the weights of the round), `WrongModel`,
 * `NotReproducible` (steps done again lead elsewhere), `DuplicateId` (another seat has committed the id),
 * `TooLate` (the round is over), `NotAssigned`, `BadChainData`, `BadMessage` (a message of another version).
 */
export class SwarmError extends SkyNetError {}
