export type PythonLiteral =
  | string
  | number
  | boolean
  | null
  | readonly PythonLiteral[]
  | ReadonlyMap<PythonLiteral, PythonLiteral>;

const MAX_DEPTH = 16;

/**
 * Parses strings, whole numbers, True, False, None, tuples, lists and dictionaries of Python; nothing is ever evaluated.
 * @throws Error with the position
 */
export function parsePythonLiteral(text: string): PythonLiteral {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.end();
  return value;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): PythonLiteral {
    if (depth > MAX_DEPTH) throw new Error(`nested too deeply at character ${this.#at}`);
    const string = this.#match(/'((?:[^'\\\n]|\\['\\])*)'|"((?:[^"\\\n]|\\["\\])*)"/y);
    if (string) return (string[1] ?? string[2]!).replaceAll(/\\(.)/g, "$1");
    // Python 2 wrote long integers with an L.
    const number = this.#match(/-?\d{1,20}(?![\w.])|-?\d{1,20}(?=L)/y);
    if (number) {
      this.#match(/L/y);
      return Number(number[0]);
    }
    const word = this.#match(/(?:True|False|None)\b/y);
    if (word) return word[0] === "None" ? null : word[0] === "True";
    if (this.#match(/\(/y)) return this.#items(/\)/y, depth);
    if (this.#match(/\[/y)) return this.#items(/\]/y, depth);
    if (this.#match(/\{/y)) return this.#pairs(depth);
    throw new Error(
      `not a literal at character ${this.#at}: ${JSON.stringify(this.#text.slice(this.#at, this.#at + 20))}`,
    );
  }

  end(): void {
    this.#match(/\s*/y);
    if (this.#at < this.#text.length) throw new Error(`something follows at character ${this.#at}`);
  }

  #items(close: RegExp, depth: number): PythonLiteral[] {
    const items: PythonLiteral[] = [];
    while (!this.#match(close)) {
      items.push(this.value(depth + 1));
      if (this.#match(/,/y)) continue;
      this.#expect(close);
      break;
    }
    return items;
  }

  #pairs(depth: number): Map<PythonLiteral, PythonLiteral> {
    const pairs = new Map<PythonLiteral, PythonLiteral>();
    while (!this.#match(/\}/y)) {
      const key = this.value(depth + 1);
      if (pairs.has(key)) throw new Error(`a key comes twice before character ${this.#at}`);
      this.#expect(/:/y);
      pairs.set(key, this.value(depth + 1));
      if (this.#match(/,/y)) continue;
      this.#expect(/\}/y);
      break;
    }
    return pairs;
  }

  #expect(pattern: RegExp): void {
    if (!this.#match(pattern)) throw new Error(`expected ${pattern.source} at character ${this.#at}`);
  }

  /** Skips spaces, then takes what matches there. */
  #match(pattern: RegExp): RegExpExecArray | null {
    let start = this.#at;
    while (/\s/.test(this.#text.charAt(start))) start++;
    pattern.lastIndex = start;
    const match = pattern.exec(this.#text);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }
}
