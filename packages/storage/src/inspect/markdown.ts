// Markdown of data cards.

/** Short, with as many digits as a person reads. */
export const figure = (value: number | undefined): string => {
  if (value === undefined) return "";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return String(Number(value.toPrecision(4)));
};

export const numberText = (value: number): string => value.toLocaleString("en");

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Text of the data as text, whatever it holds: no markup, no line ends, not too long. */
export const plain = (text: string): string =>
  (text.length > 200 ? `${text.slice(0, 200)}…` : text)
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .replaceAll(/[\\`*_{}[\]<>#|!&~]/g, "\\$&");
