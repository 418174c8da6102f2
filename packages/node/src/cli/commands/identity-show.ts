import fs from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { createIdentity, peerIdFromPublicKey } from "@skynet/network";
import { toHex, type Hex } from "@skynet/protocol";
import { tiesOf } from "../../roles/identity-ties.ts";
import { keyUses } from "../../runtime/key-use.ts";
import { modeText, writeNewSecretFile } from "../../runtime/secret-files.ts";
import { createKeystore, keystoreAddress, keystorePublicKey, openKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { openReader } from "../account.ts";
import { homeDir, runningDevnet, withUi } from "../options.ts";
import type { Ui } from "../ui.ts";
import { keyCommand, type KeyOptions } from "./identity-options.ts";

interface PublicKeys {
  readonly address: Hex;
  readonly peerId: string;
  /** 64 bytes, as the chain registers it. */
  readonly publicKey: Hex;
}

/** The public parts; keystores of other software name only the address, so they are opened. */
async function publicKeys(options: KeyOptions): Promise<PublicKeys> {
  const publicKey =
    (await keystorePublicKey(options.keystore)) ??
    createIdentity(await openKeystore(options.keystore, await readPassphrase(options, "Passphrase"))).publicKey;
  const address = await keystoreAddress(options.keystore);
  return { address, peerId: peerIdFromPublicKey(publicKey).toString(), publicKey: toHex(publicKey) };
}

interface ShowOptions extends KeyOptions {
  readonly rpc?: string;
}

export function addShow(identity: Command): void {
  const description = "address, PeerId, public key, file, and where the key is used; needs no passphrase";
  const command = keyCommand(identity, "show", description, "show --keystore worker.json");
  command
    .option("--rpc <url>", "chain to look at (default: SKYNET_RPC, else the devnet that runs here, else none)")
    .action((options: ShowOptions) => withUi(options, (ui) => show(ui, options)));
}

async function show(ui: Ui, options: ShowOptions) {
  const keystore = path.resolve(options.keystore);
  const keys = await publicKeys({ ...options, keystore });
  const mode = modeText((await fs.stat(keystore)).mode);
  const uses = await keyUses(homeDir(), keys.address);
  const rpc = options.rpc ?? process.env.SKYNET_RPC ?? runningDevnet()?.rpcUrl;
  const ties = rpc === undefined ? undefined : await tiesOf(await openReader({ rpc }), keys.address);
  const rows: [string, string][] = [
    ["address", keys.address],
    ["PeerId", keys.peerId],
    ["public key", keys.publicKey],
    ["file", `${keystore} (mode ${mode})`],
    ...uses.map(({ folder, role, pid }): [string, string] => [
      "used by",
      `${role} in ${folder}${pid === undefined ? "" : `, running as process ${pid}`}`,
    ]),
    ...(ties ?? []).map(({ text }): [string, string] => ["on chain", text]),
  ];
  if (uses.length === 0) rows.push(["used by", `no data folder below ${homeDir()}`]);
  if (ties === undefined) rows.push(["on chain", "not looked at; give --rpc"]);
  else if (ties.length === 0) rows.push(["on chain", `nothing on ${rpc}`]);
  for (const [name, text] of rows) ui.line(`${name.padEnd(11)} ${text}`);
  return { ...keys, keystore, mode, uses, ...(ties ? { ties } : {}) };
}

interface ExportOptions extends KeyOptions {
  readonly public?: true;
  readonly peerId?: true;
  readonly exportPassphraseFile?: string;
}

export function addExport(identity: Command): void {
  const description = "write the key to a new file, encrypted with a passphrase of its own; or only its public parts";
  keyCommand(identity, "export", description, "export backup.json --keystore worker.json")
    .argument("[file]", "the new file; with --public or --peer-id standard output by default")
    .option("--public", "only address, PeerId and public key, as JSON; needs no passphrase")
    .option("--peer-id", "only the PeerId; needs no passphrase")
    .option(
      "--export-passphrase-file <file>",
      "file with the passphrase of the new file (default: SKYNET_EXPORT_PASSPHRASE, else asked for)",
    )
    .action((file: string | undefined, options: ExportOptions, command: Command) =>
      withUi(options, async (ui) => {
        if (options.public || options.peerId) return exportPublic(ui, file, options);
        if (file === undefined) command.error("error: name the file to write, or use --public or --peer-id");
        return exportKey(ui, path.resolve(file!), options);
      }),
    );
}

async function exportPublic(ui: Ui, file: string | undefined, options: ExportOptions) {
  const keys = await publicKeys(options);
  const text = options.peerId ? keys.peerId : JSON.stringify(keys, null, 2);
  if (file === undefined) ui.line(text);
  else await writeNewSecretFile(path.resolve(file), `${text}\n`);
  return options.peerId ? { peerId: keys.peerId } : keys;
}

async function exportKey(ui: Ui, file: string, options: ExportOptions) {
  const privateKey = await openKeystore(options.keystore, await readPassphrase(options, "Passphrase of the key"));
  const source = {
    passphraseFile: options.exportPassphraseFile,
    variable: "SKYNET_EXPORT_PASSPHRASE",
    option: "--export-passphrase-file",
  };
  const address = await createKeystore(file, privateKey, await readPassphrase(source, "Passphrase of the copy", true));
  ui.line(`${address} is in ${file}, encrypted with the passphrase of the copy`);
  ui.line(`who has both is this node; npx skynet identity import ${path.basename(file)} takes it back`);
  return { address, file };
}
