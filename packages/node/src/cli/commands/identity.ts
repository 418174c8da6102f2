import path from "node:path";
import type { Command } from "commander";
import { createIdentity } from "@skynet/network";
import { checkSecretFile } from "../../runtime/secret-files.ts";
import { createKeystore, openKeystore, openKeystoreText, replaceKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { parsePrivateKey, readFileOrInput } from "../../wallet/private-key.ts";
import { withUi } from "../options.ts";
import type { Ui } from "../ui.ts";
import { keyCommand, newPassphrase, type KeyOptions } from "./identity-options.ts";
import { addRotate } from "./identity-rotate.ts";
import { addExport, addShow } from "./identity-show.ts";

interface ImportOptions extends KeyOptions {
  readonly importPassphraseFile?: string;
}

interface PassphraseOptions extends KeyOptions {
  readonly newPassphraseFile?: string;
}

/** `skynet identity show|export|import|rotate|passphrase`: the key itself; what it owns belongs to `skynet wallet`. */
export function addIdentity(program: Command): void {
  const identity = program
    .command("identity")
    .description("the key of this node: show, back up, move, exchange it, change its passphrase")
    .addHelpText("after", "\nnpx skynet wallet makes a key and handles its money.");
  addShow(identity);
  addExport(identity);
  addImport(identity);
  addRotate(identity);
  addPassphrase(identity);
}

function addImport(identity: Command): void {
  const description = "take a key from a keystore (version 3), or from a file with 64 hexadecimal digits";
  keyCommand(identity, "import", description, "import backup.json --keystore worker.json")
    .argument("[file]", "the file, for its owner alone (mode 0600); - or nothing: standard input", "-")
    .option(
      "--import-passphrase-file <file>",
      "file with the passphrase of the keystore to import (default: SKYNET_IMPORT_PASSPHRASE, else asked for)",
    )
    .action((file: string, options: ImportOptions) => withUi(options, (ui) => importKey(ui, file, options)));
}

async function importKey(ui: Ui, file: string, options: ImportOptions) {
  if (file !== "-") await checkSecretFile(file, { strict: true });
  const text = new TextDecoder().decode(await readFileOrInput(file, "the file with the key"));
  const privateKey = text.trimStart().startsWith("{")
    ? await openKeystoreText(text, await importPassphrase(options), file === "-" ? "standard input" : file)
    : parsePrivateKey(text);
  // A keystore can hold a weak key, too.
  parsePrivateKey(Buffer.from(privateKey).toString("hex"));
  const keystore = path.resolve(options.keystore);
  await createKeystore(keystore, privateKey, await readPassphrase(options, "Passphrase of the new keystore", true));
  const { address, peerId } = createIdentity(privateKey);
  ui.line(`imported ${address} into ${keystore}`);
  if (file !== "-") ui.line(`delete ${file} if it is no longer needed`);
  return { address, peerId: peerId.toString(), keystore };
}

const importPassphrase = ({ importPassphraseFile }: ImportOptions): Promise<string> =>
  readPassphrase(
    {
      passphraseFile: importPassphraseFile,
      variable: "SKYNET_IMPORT_PASSPHRASE",
      option: "--import-passphrase-file",
    },
    "Passphrase of the keystore to import",
  );

function addPassphrase(identity: Command): void {
  keyCommand(identity, "passphrase", "change the passphrase of a key", "passphrase --keystore worker.json")
    .option(
      "--new-passphrase-file <file>",
      "file with the new passphrase (default: SKYNET_NEW_PASSPHRASE, else asked for)",
    )
    .action((options: PassphraseOptions) =>
      withUi(options, async (ui) => {
        const keystore = path.resolve(options.keystore);
        const privateKey = await openKeystore(keystore, await readPassphrase(options, "Old passphrase"));
        await replaceKeystore(keystore, privateKey, await newPassphrase(options));
        ui.line(`${keystore} opens with the new passphrase from now on; copies of the file keep the old one`);
        return { address: createIdentity(privateKey).address, keystore };
      }),
    );
}
