// Data cards: Markdown that a seller publishes with a dataset. Strangers write it, and it ends up on terminals, in files
// and in previews, so it is cleaned wherever it comes in.
import { InvalidInputError } from "./errors.ts";
import { hiddenCharacters } from "./text.ts";

/** Most bytes of a data card: one block. */
export const MAX_CARD_BYTES = 256 * 1024;

/**
 * The text of a data card. Characters that steer a terminal, turn or hide text are gone, HTML shows as text, and
 * pictures are links, so that a preview runs and loads nothing. Cleaning twice changes nothing.
 * @throws InvalidInputError `BadCard` when it is empty, too long or no UTF-8
 */
export function parseCard(bytes: Uint8Array): string {
  if (bytes.length > MAX_CARD_BYTES)
    throw badCard(`it has ${bytes.length} bytes`, `a card has at most ${MAX_CARD_BYTES} bytes: shorten it`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badCard("it is no text in UTF-8", "a card is a text file (Markdown)");
  }
  const lines = text.split(/\r\n|[\n\r]/).map((line) => line.replaceAll("\t", "    ").replace(hiddenCharacters, ""));
  const clean = lines
    .map((line) => line.trimEnd())
    .join("\n")
    .replace(MARKUP, escapeUnescaped)
    .trim();
  if (clean === "") throw badCard("it is empty", "a card is a text file (Markdown)");
  return `${clean}\n`;
}

/**
 * The beginning of a tag, comment or declaration of HTML, or of a picture, with the backslashes before it. A run of
 * them is looked at from its start only: otherwise a card of backslashes takes minutes.
 */
const MARKUP = /(?<!\\)(\\*)(<(?=[a-z/!?])|!\[)/gi;

const escapeUnescaped = (found: string, slashes: string, mark: string): string =>
  slashes.length % 2 === 1 ? found : `${slashes}\\${mark}`;

const badCard = (why: string, hint: string) => new InvalidInputError("BadCard", `not a data card: ${why}`, { hint });
