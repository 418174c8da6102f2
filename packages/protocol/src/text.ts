// Characters that draw nothing or change how others are drawn: C0 and C1 controls, zero-width and bidirectional marks.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]+/gu;

/**
 * Text of a stranger in one line, fit for a terminal and for a page: without control characters and marks that turn the
 * direction of writing, and no longer than `maxLength` characters.
 */
export function cleanText(text: string, maxLength = 200): string {
  const visible = text.replace(INVISIBLE, " ").replace(/\s+/gu, " ").trim();
  const characters = [...visible];
  return characters.length <= maxLength ? visible : `${characters.slice(0, maxLength - 1).join("")}…`;
}
