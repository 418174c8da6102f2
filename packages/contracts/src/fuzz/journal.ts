import type { Hex } from "@skynet/protocol";

/** A contract refuses a call. `name` and `values` are those of the Solidity error. */
export class Refusal {
  readonly name: string;
  readonly values: readonly unknown[];

  constructor(name: string, values: readonly unknown[] = []) {
    this.name = name;
    this.values = values;
  }

  get message(): string {
    return `${this.name}(${this.values.map(String).join(", ")})`;
  }
}

/** @throws Refusal unless the condition holds */
export function need(condition: boolean, name: string, ...values: readonly unknown[]): asserts condition {
  if (!condition) throw new Refusal(name, values);
}

/** How the chain answers when it is asked for a cell of a table. */
export interface Query {
  readonly to: Hex;
  readonly data: Hex;
  readonly answer: Hex;
}

export interface Question extends Query {
  /** Table and keys. */
  readonly about: string;
}

interface Cell {
  readonly table: Table<unknown>;
  readonly keys: readonly string[];
}

/**
 * The storage of the model: calls that are refused are undone, and cells that have changed are known, so that exactly
 * they are compared with the chain.
 */
export class Journal {
  #undo: (() => void)[] = [];
  readonly #changed = new Map<string, Cell>();

  /** Runs a call; undoes everything when it is refused. */
  attempt(call: () => void): Refusal | undefined {
    this.#undo = [];
    try {
      call();
      return undefined;
    } catch (error) {
      for (const restore of this.#undo.reverse()) restore();
      if (error instanceof Refusal) return error;
      throw error;
    }
  }

  note(id: string, cell: Cell, restore: () => void): void {
    this.#undo.push(restore);
    this.#changed.set(id, cell);
  }

  /** Questions about every cell that has changed since the last time. */
  takeQuestions(): Question[] {
    const questions = [...this.#changed.values()].flatMap(({ table, keys }) => table.question(keys) ?? []);
    this.#changed.clear();
    return questions;
  }
}

/** A mapping of a contract, as the model has it. */
export class Table<Value> {
  readonly #name: string;
  readonly #journal: Journal;
  readonly #initial: Value;
  readonly #values = new Map<string, readonly [readonly string[], Value]>();
  readonly #ask: ((keys: readonly string[], value: Value) => Query | undefined) | undefined;

  constructor(
    journal: Journal,
    name: string,
    initial: Value,
    ask?: (keys: readonly string[], value: Value) => Query | undefined,
  ) {
    this.#journal = journal;
    this.#name = name;
    this.#initial = initial;
    this.#ask = ask;
  }

  get(...keys: readonly string[]): Value {
    return this.#values.get(keys.join(" "))?.[1] ?? this.#initial;
  }

  set(keys: readonly string[], value: Value): void {
    const id = keys.join(" ");
    const old = this.#values.get(id);
    this.#values.set(id, [keys, value]);
    this.#journal.note(`${this.#name} ${id}`, { table: this as Table<unknown>, keys }, () => {
      if (old === undefined) this.#values.delete(id);
      else this.#values.set(id, old);
    });
  }

  entries(): (readonly [readonly string[], Value])[] {
    return [...this.#values.values()];
  }

  question(keys: readonly string[]): Question | undefined {
    const query = this.#ask?.(keys, this.get(...keys));
    return query && { ...query, about: `${this.#name} ${keys.join(" ")}` };
  }

  /** Questions about every cell. */
  allQuestions(): Question[] {
    return this.entries().flatMap(([keys]) => this.question(keys) ?? []);
  }
}
