import fs from "node:fs/promises";
import readline from "node:readline";
import { Writable } from "node:stream";
import { checkSecretFile } from "../runtime/secret-files.ts";
import { WalletError } from "./errors.ts";

export interface PassphraseSource {
  /** File whose first line is the passphrase. */
  readonly passphraseFile?: string | undefined;
  /** Environment variable that holds the passphrase (SKYNET_PASSPHRASE). */
  readonly variable?: string;
  /** The option that names the file (--passphrase-file), for hints. */
  readonly option?: string;
}

/**
 * Passphrase of a keystore: from a file, else from an environment variable, else asked for on the terminal without echo.
 * It is never an argument: other users see those.
 * @throws WalletError `NoPassphrase` when there is no terminal to ask on; FileError `UnsafePermissions`
 */
export async function readPassphrase(source: PassphraseSource, prompt: string, confirm = false): Promise<string> {
  const { passphraseFile, variable = "SKYNET_PASSPHRASE", option = "--passphrase-file" } = source;
  if (passphraseFile !== undefined) return readPassphraseFile(passphraseFile);
  const fromEnvironment = process.env[variable];
  if (fromEnvironment !== undefined && fromEnvironment !== "") return fromEnvironment;
  if (!process.stdin.isTTY)
    throw new WalletError("NoPassphrase", "a passphrase is needed and there is no terminal to ask on", {
      hint: `use ${option} FILE or ${variable}`,
    });
  const passphrase = await ask(`${prompt}: `);
  if (passphrase === "") throw new WalletError("NoPassphrase", "the passphrase is empty");
  if (confirm && (await ask("The same again: ")) !== passphrase)
    throw new WalletError("PassphraseMismatch", "the two passphrases differ");
  return passphrase;
}

async function readPassphraseFile(file: string): Promise<string> {
  let text: string;
  try {
    text = await fs.readFile(file, "utf8");
  } catch (cause) {
    throw new WalletError("NoPassphrase", `the passphrase file cannot be read: ${file}`, {
      cause,
      hint: "check the path, and that this user may read it",
    });
  }
  await checkSecretFile(file);
  const passphrase = text.split(/\r?\n/, 1)[0] ?? "";
  if (passphrase === "") throw new WalletError("NoPassphrase", `the passphrase file is empty: ${file}`);
  return passphrase;
}

function ask(prompt: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = readline.createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(prompt);
  return new Promise((resolve, reject) => {
    terminal.on("SIGINT", () => {
      reject(new WalletError("Interrupted", "interrupted"));
      terminal.close();
    });
    // The end of the input is no answer.
    terminal.on("close", () => reject(new WalletError("NoPassphrase", "no passphrase was given")));
    terminal.question("", (answer) => {
      process.stderr.write("\n");
      resolve(answer);
      terminal.close();
    });
  });
}
