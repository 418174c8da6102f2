// Marks statements and decisions of Solidity sources, so that the chain tells which of them ran.
import { createRequire } from "node:module";

/** What was marked. A decision has two marks: `id` for no, `id + 1` for yes. */
export interface Mark {
  readonly id: number;
  readonly file: string;
  readonly line: number;
  readonly kind: "statement" | "decision";
  readonly text: string;
}

export interface Instrumented {
  /** Sources by name, with the library that sends the marks. */
  readonly sources: Readonly<Record<string, string>>;
  readonly marks: readonly Mark[];
}

interface Node {
  readonly nodeType: string;
  readonly src: string;
  readonly [key: string]: unknown;
}

interface Insertion {
  readonly at: number;
  readonly text: string;
}

const LIBRARY = "Coverage.sol";

/**
 * The chain of the tests reports static calls to this address (as Hardhat's own instrumentation has it, which knows no
 * decisions). The cast lets pure functions send marks.
 */
const library = `// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

library Coverage {
    function send(uint256 id) private view {
        assembly ("memory-safe") {
            mstore(0, id)
            pop(staticcall(gas(), 0xc0bEc0BEc0BeC0bEC0beC0bEC0bEC0beC0beC0BE, 0, 32, 0, 0))
        }
    }

    function toPure(function(uint256) internal view f) private pure returns (function(uint256) pure g) {
        assembly ("memory-safe") {
            g := f
        }
    }

    function hit(uint256 id) internal pure {
        toPure(send)(id);
    }

    function test(uint256 id, bool yes) internal pure returns (bool) {
        toPure(send)(yes ? id + 1 : id);
        return yes;
    }
}
`;

interface Compiler {
  compile(input: string): string;
}

/** Syntax trees of the sources, without imports resolved. */
function parse(sources: Readonly<Record<string, string>>): Record<string, Node> {
  const solc = createRequire(import.meta.url)("solc") as Compiler;
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([name, content]) => [name, { content }])),
    settings: { stopAfter: "parsing", outputSelection: { "*": { "": ["ast"] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as { sources: Record<string, { ast: Node }> };
  return Object.fromEntries(Object.entries(output.sources).map(([name, { ast }]) => [name, ast]));
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "nodeType" in value;

class FileMarks {
  readonly #file: string;
  readonly #bytes: Buffer;
  readonly #marks: Mark[];
  readonly #open: Insertion[] = [];
  readonly #close: Insertion[] = [];

  constructor(file: string, source: string, marks: Mark[]) {
    this.#file = file;
    this.#bytes = Buffer.from(source);
    this.#marks = marks;
  }

  /** Marks everything below the node. */
  walk(node: Node): void {
    const { nodeType } = node;
    if (nodeType === "Block" || nodeType === "UncheckedBlock")
      for (const one of node["statements"] as Node[]) this.#statement(one);
    if (nodeType === "IfStatement") this.#branch(node);
    if (nodeType === "Conditional" || nodeType === "WhileStatement") this.#decision(node["condition"] as Node);
    if (nodeType === "ForStatement") this.#loop(node);
    if (nodeType === "FunctionCall") this.#requirement(node);
    for (const value of Object.values(node)) {
      if (isNode(value)) this.walk(value);
      else if (Array.isArray(value)) for (const item of value) if (isNode(item)) this.walk(item);
    }
  }

  #range({ src }: Node): readonly [from: number, to: number] {
    const [from, length] = src.split(":").map(Number) as [number, number];
    return [from, from + length];
  }

  #mark(node: Node, kind: Mark["kind"]): number {
    const [from, to] = this.#range(node);
    const id = 2 * this.#marks.length + 2;
    const line = this.#bytes.subarray(0, from).toString().split("\n").length;
    const text = this.#bytes.subarray(from, to).toString().split("\n")[0]!;
    this.#marks.push({ id, file: this.#file, line, kind, text });
    return id;
  }

  #statement(node: Node): void {
    if (node.nodeType === "Block" || node.nodeType === "UncheckedBlock") return;
    this.#open.push({ at: this.#range(node)[0], text: `Coverage.hit(${this.#mark(node, "statement")}); ` });
  }

  /** A body that is one statement becomes a block. */
  #body(node: Node | null | undefined): void {
    if (node === null || node === undefined || node.nodeType === "Block") return;
    const [from, to] = this.#range(node);
    this.#open.push({ at: from, text: "{ " });
    this.#statement(node);
    // the range of an expression statement ends before its semicolon
    this.#close.push({ at: this.#bytes[to] === 0x3b ? to + 1 : to, text: " }" });
  }

  #branch(node: Node): void {
    this.#decision(node["condition"] as Node);
    this.#body(node["trueBody"] as Node);
    this.#body(node["falseBody"] as Node | null);
  }

  #loop(node: Node): void {
    if (isNode(node["condition"])) this.#decision(node["condition"]);
    this.#body(node["body"] as Node);
  }

  #requirement({ expression, arguments: list }: Node): void {
    const called = expression as Node;
    if (called.nodeType === "Identifier" && called["name"] === "require") this.#decision((list as Node[])[0]!);
  }

  #decision(node: Node): void {
    const [from, to] = this.#range(node);
    this.#open.push({ at: from, text: `Coverage.test(${this.#mark(node, "decision")}, ` });
    this.#close.push({ at: to, text: ")" });
  }

  /** The source with its marks. */
  text(): string {
    // what opens later at one place is inside, so its end comes first
    const insertions = [...this.#close.toReversed(), ...this.#open].map((one, order) => ({ ...one, order }));
    insertions.sort((a, b) => a.at - b.at || a.order - b.order);
    const parts: string[] = [];
    let done = 0;
    for (const { at, text } of insertions) {
      parts.push(this.#bytes.subarray(done, at).toString(), text);
      done = at;
    }
    parts.push(this.#bytes.subarray(done).toString());
    return parts.join("");
  }
}

/** Functions and modifiers of a file. */
function bodiesOf(node: Node): Node[] {
  if (node.nodeType === "FunctionDefinition" || node.nodeType === "ModifierDefinition")
    return isNode(node["body"]) ? [node["body"]] : [];
  return Object.values(node).flatMap((value) => {
    if (isNode(value)) return bodiesOf(value);
    return Array.isArray(value) ? value.filter(isNode).flatMap(bodiesOf) : [];
  });
}

/**
 * @param sources by path, relative to the folder of the contracts
 * @param isMarked which of them are marked; the others stay as they are
 */
export function instrument(
  sources: Readonly<Record<string, string>>,
  isMarked: (file: string) => boolean,
): Instrumented {
  const trees = parse(sources);
  const marks: Mark[] = [];
  const result: Record<string, string> = { [LIBRARY]: library };
  for (const [file, source] of Object.entries(sources)) {
    const bodies = isMarked(file) ? bodiesOf(trees[file]!) : [];
    if (bodies.length === 0) {
      result[file] = source;
      continue;
    }
    const own = new FileMarks(file, source, marks);
    for (const body of bodies) own.walk(body);
    const up = "../".repeat(file.split("/").length - 1) || "./";
    const pragma = /pragma solidity [^;]+;\n/;
    result[file] = own.text().replace(pragma, (line) => `${line}import {Coverage} from "${up}${LIBRARY}";\n`);
  }
  return { sources: result, marks };
}
