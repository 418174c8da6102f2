/**
 * Characters that do not show what they are: controls, marks that turn the direction of writing, what is invisible
 * between letters, tags, private ones, halves of surrogate pairs. The joiners U+200C and U+200D stay: scripts need them.
 */
export const hiddenCharacters = /(?![\u200C\u200D])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u115F\u1160\u3164\uFFA0]/gu;

/** Text of strangers as it is, with a mark for every character that would not show. */
export const printable = (text: string): string => text.replaceAll(hiddenCharacters, "\uFFFD");

/**
 * Text of strangers, for one line on a terminal or a page: without control characters and without what reorders or
 * hides other text, every run of white space one space, at most `maxLength` characters; a text that was cut ends in "…".
 */
export function cleanText(text: string, maxLength = 200): string {
  // Cut first: what follows must not cost anything, however long it is. Four times, because much may be stripped.
  const head = text.slice(0, 4 * maxLength + 64);
  const shown = [...head.replace(/\s+/gu, " ").replace(hiddenCharacters, "").replace(/ {2,}/g, " ").trim()];
  const whole = head.length === text.length && shown.length <= maxLength;
  return whole ? shown.join("") : `${shown.slice(0, Math.max(0, maxLength - 1)).join("")}…`;
}
