import process from "node:process";
import readline from "node:readline/promises";
import { SkyNetError } from "@skynet/protocol";

/**
 * Asks a person before something that costs. Programs are never asked: without a terminal, with --yes and with --json
 * the answer is yes.
 * @throws SkyNetError `NotConfirmed`
 */
export async function confirm(question: string, options: { yes?: true; json?: true | string }): Promise<void> {
  if (options.yes || options.json === true || !process.stdin.isTTY || !process.stdout.isTTY) return;
  const terminal = readline.createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new SkyNetError("NotConfirmed", "stopped: nothing was sent", { hint: "answer y, or use --yes" });
}
