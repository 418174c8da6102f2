import type { Hex } from "@skynet/protocol";
import { hashWords } from "./words.ts";
import type { SkyNetAddresses } from "../deployment/addresses.ts";
import { DEVELOPMENT_CHAIN_ID } from "../deployment/deploy.ts";

const NATIVE_HASHES = 256;

/** What a contract sees of the chain besides storage. */
export class Environment {
  readonly addresses: SkyNetAddresses;
  readonly chainId = DEVELOPMENT_CHAIN_ID;
  /** Time of the block that is being made, unix seconds. */
  now: number;
  /** Number of the block that is being made. */
  block: number;
  readonly #hashes = new Map<number, Hex>();
  readonly #contracts = new Set<Hex>();

  constructor(
    addresses: SkyNetAddresses,
    latest: { readonly number: number; readonly hash: Hex; readonly time: number },
  ) {
    this.addresses = addresses;
    this.now = latest.time;
    this.block = latest.number + 1;
    this.#hashes.set(latest.number, latest.hash);
    for (const address of Object.values(addresses)) this.#contracts.add(address);
  }

  /** A block has been made. */
  mined(number: number, hash: Hex): void {
    this.#hashes.set(number, hash);
    this.block = number + 1;
  }

  addContract(address: Hex): void {
    this.#contracts.add(address);
  }

  hasCode(address: Hex): boolean {
    return this.#contracts.has(address);
  }

  /** What the opcode says: the last 256 blocks. */
  blockhash(number: number): Hex | undefined {
    return number < this.block && number >= this.block - NATIVE_HASHES ? this.#hashes.get(number) : undefined;
  }

  /** Account of a module's escrow in the Ledger. */
  escrow(module: "jobBoard" | "workerRegistry", localId: Hex): Hex {
    return hashWords(this.addresses[module], localId);
  }
}
