import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { createKeystore, startChild, type SkyNetChild } from "@skynet/node";
import type { Lab } from "../netlab/lab.ts";

const PORT = 4001;
const LISTEN = { tcp: `tcp/${PORT}`, quic: `udp/${PORT}/quic-v1` };
/** The passphrases are no secrets. */
const PASSPHRASE_N = 1024;
/** On a machine that has much else to do. */
const START_MS = 180_000;

/** Flags that name a new wallet. */
export async function createWallet(folder: string, name: string): Promise<string[]> {
  const [keystore, passphraseFile] = [path.join(folder, `${name}.json`), path.join(folder, `${name}.passphrase`)];
  await fs.writeFile(passphraseFile, name, { mode: 0o600 });
  await createKeystore(keystore, randomBytes(32), name, PASSPHRASE_N);
  return ["--keystore", keystore, "--passphrase-file", passphraseFile];
}

export interface LabRelayOptions {
  readonly folder: string;
  readonly wallet: readonly string[];
  /** Default tcp. */
  readonly transport?: keyof typeof LISTEN;
}

/** Starts `skynet relay` on a machine of a lab (again): with the same wallet it has the same multiaddr. */
export async function startLabRelay(lab: Lab, machine: string, options: LabRelayOptions): Promise<SkyNetChild> {
  const { folder, wallet, transport = "tcp" } = options;
  const listen = ["--listen", `/ip4/${lab.address(machine)}/${LISTEN[transport]}`];
  const data = ["--data", path.join(folder, machine)];
  const relay = startChild(["relay", ...listen, ...data, ...wallet], { through: lab.enter(machine) });
  await relay.event("listening", START_MS);
  return relay;
}
