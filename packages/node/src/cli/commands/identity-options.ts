import path from "node:path";
import type { Command } from "commander";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { homeDir, jsonOption, type JsonOption } from "../options.ts";

export interface KeyOptions extends JsonOption {
  readonly keystore: string;
  readonly passphraseFile?: string;
}

/** A subcommand with the options of a keystore. */
export const keyCommand = (identity: Command, name: string, description: string, example: string): Command =>
  identity
    .command(name)
    .description(description)
    .option("--keystore <file>", "file with the encrypted key", path.join(homeDir(), "wallet.json"))
    .option("--passphrase-file <file>", "file with its passphrase (default: SKYNET_PASSPHRASE, else asked for)")
    .addOption(jsonOption())
    .addHelpText("after", `\nExample:\n  $ npx skynet identity ${example}`);

/** The passphrase that an existing keystore gets. */
export const newPassphrase = ({ newPassphraseFile }: { readonly newPassphraseFile?: string }): Promise<string> =>
  readPassphrase(
    { passphraseFile: newPassphraseFile, variable: "SKYNET_NEW_PASSPHRASE", option: "--new-passphrase-file" },
    "New passphrase",
    true,
  );
