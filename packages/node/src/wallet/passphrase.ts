import fs from "node:fs/promises";
import readline from "node:readline";
import { Writable } from "node:stream";
import { WalletError } from "./keystore.ts";

export interface PassphraseSource {
  /** File whose first line is the passphrase. */
  readonly passphraseFile?: string | undefined;
}

/**
 * Passphrase of a wallet: from a file, else from SKYNET_PASSPHRASE, else asked for on the terminal without echo.
 * @throws WalletError `NoPassphrase` when there is no terminal to ask on.
 */
export async function readPassphrase(source: PassphraseSource, prompt: string, confirm = false): Promise<string> {
  if (source.passphraseFile !== undefined) return readPassphraseFile(source.passphraseFile);
  const fromEnvironment = process.env.SKYNET_PASSPHRASE;
  if (fromEnvironment !== undefined && fromEnvironment !== "") return fromEnvironment;
  if (!process.stdin.isTTY)
    throw new WalletError("NoPassphrase", "a passphrase is needed and there is no terminal to ask on", {
      hint: "use --passphrase-file FILE or SKYNET_PASSPHRASE",
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
    throw new WalletError("NoPassphrase", `the passphrase file cannot be read: ${file}`, { cause });
  }
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
      terminal.close();
      reject(new WalletError("Interrupted", "interrupted"));
    });
    terminal.question("", (answer) => {
      process.stderr.write("\n");
      terminal.close();
      resolve(answer);
    });
  });
}
