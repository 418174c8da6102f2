import { workerRegistryAbi } from "@skynet/contracts";
import { fromHex } from "@skynet/protocol";
import { readMetadata } from "./metadata.ts";
import { defineSource, lower, searchText, type Writer } from "./source.ts";

const tables = [
  {
    name: "workers",
    searchable: true,
    definition: `
CREATE TABLE workers (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, block INTEGER NOT NULL, payout TEXT NOT NULL,
  public_key TEXT NOT NULL, epoch INTEGER NOT NULL, capabilities BLOB NOT NULL, name TEXT,
  penalties INTEGER NOT NULL, search TEXT NOT NULL) STRICT;`,
  },
  {
    name: "stakes",
    definition: `
CREATE TABLE stakes (
  position INTEGER PRIMARY KEY, worker TEXT NOT NULL, token TEXT NOT NULL, free TEXT NOT NULL, locked TEXT NOT NULL,
  leaving TEXT NOT NULL, UNIQUE (worker, token)) STRICT;
CREATE INDEX stakes_token ON stakes(token, worker);`,
  },
] as const;

interface Stake {
  readonly free: bigint;
  readonly locked: bigint;
  /** In its unbonding. */
  readonly leaving: bigint;
}

function changeStake(writer: Writer, worker: string, token: string, change: (stake: Stake) => Partial<Stake>): void {
  const key = [lower(worker), lower(token)] as const;
  const row = writer.get("SELECT free, locked, leaving FROM stakes WHERE worker = ? AND token = ?", ...key);
  const amount = (name: string) => BigInt(String(row?.[name] ?? "0"));
  const before: Stake = { free: amount("free"), locked: amount("locked"), leaving: amount("leaving") };
  const { free, locked, leaving } = { ...before, ...change(before) };
  writer.token(key[1]);
  writer.run(
    `INSERT INTO stakes (worker, token, free, locked, leaving) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (worker, token) DO UPDATE SET free = ?3, locked = ?4, leaving = ?5`,
    ...key,
    free.toString(),
    locked.toString(),
    leaving.toString(),
  );
}

function setCapabilities(writer: Writer, worker: string, capabilities: string): void {
  const { name, words } = readMetadata(lower(capabilities));
  writer.run(
    "UPDATE workers SET capabilities = ?, name = ?, search = ? WHERE id = ?",
    fromHex(capabilities),
    name,
    searchText(worker, words),
    worker,
  );
}

/** Workers: keys, what they say of themselves, stakes. */
export const workerRegistry = defineSource({
  name: "workerRegistry",
  tables,
  abi: workerRegistryAbi,
  address: (all) => all.workerRegistry,
  on: (writer, { eventName, args }, { block }) => {
    if (eventName === "EIP712DomainChanged") return;
    const worker = lower(args.worker);
    switch (eventName) {
      case "Registered": {
        writer.insert("workers", {
          id: worker,
          block,
          payout: lower(args.payout),
          public_key: lower(args.publicKey),
          epoch: 0,
          capabilities: new Uint8Array(),
          penalties: 0,
          search: "",
        });
        return setCapabilities(writer, worker, args.capabilities);
      }
      case "CapabilitiesSet":
        return setCapabilities(writer, worker, args.capabilities);
      case "PayoutSet":
        return writer.run("UPDATE workers SET payout = ? WHERE id = ?", lower(args.payout), worker);
      case "EpochBumped":
        return writer.run("UPDATE workers SET epoch = ? WHERE id = ?", args.epoch, worker);
      case "StakeAdded":
        return changeStake(writer, worker, args.token, ({ free }) => ({ free: free + args.amount }));
      case "UnstakeBegun":
        // the event names the sum that is now leaving
        return changeStake(writer, worker, args.token, ({ free, leaving }) => ({
          free: free - (args.amount - leaving),
          leaving: args.amount,
        }));
      case "Unstaked":
        return changeStake(writer, worker, args.token, () => ({ leaving: 0n }));
      case "Locked":
        return changeStake(writer, worker, args.token, ({ free, locked }) => ({
          free: free - args.amount,
          locked: locked + args.amount,
        }));
      case "Unlocked":
        return changeStake(writer, worker, args.token, ({ free, locked }) => ({
          free: free + args.amount,
          locked: locked - args.amount,
        }));
      case "Slashed":
        writer.run("UPDATE workers SET penalties = penalties + 1 WHERE id = ?", worker);
        return changeStake(writer, worker, args.token, ({ locked }) => ({ locked: locked - args.amount }));
      default:
        return undefined;
    }
  },
});
