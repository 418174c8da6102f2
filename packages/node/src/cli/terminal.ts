import process from "node:process";
import { printable } from "@skynet/protocol";
import { colours } from "./colours.ts";

/** What may stand between printable characters: new lines and tabs, and the colours that this program uses. */
const PLAIN = "\n|\t";
const OWN_COLOUR = String.raw`\u001B\[(?:[0-24]|22|3[0-79]|9[0-7])m`;
const kept = (coloured: boolean) => new RegExp(`(${coloured ? `${PLAIN}|${OWN_COLOUR}` : PLAIN})`, "u");

/**
 * Text as it may go to a terminal. File names, columns, answers of others: whatever is in it moves no cursor, sets no
 * title, hides nothing and turns no writing.
 */
export const terminalText = (text: string, { coloured = colours.isColorSupported } = {}): string =>
  text
    .split(kept(coloured))
    .map((part, i) => (i % 2 === 1 ? part : printable(part)))
    .join("");

/** One or more lines on the standard output: results. */
export const writeLine = (text: string): void => void process.stdout.write(`${terminalText(text)}\n`);

/** One or more lines on the standard error: progress, notes, warnings and errors. */
export const writeNote = (text: string): void => void process.stderr.write(`${terminalText(text)}\n`);
