import { afterEach, expect, it, vi } from "vitest";
import { terminalText } from "./terminal.ts";
import { createUi, toJson } from "./ui.ts";

const ESCAPES = ["\u001B]0;title\u0007", "\u001B[2J", "\u009B2J", "\r", "\u202E", "\u001B[8m"];
/** Controls but the new line, and marks of direction. */
const STEERING = /(?!\n)[\p{Cc}\p{Cf}]/u;

afterEach(() => vi.restoreAllMocks());

/** What goes to the two outputs. */
function outputs() {
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      written[name] += String(text);
      return true;
    });
  return written;
}

it("lets lines, tabs and own colours through, and nothing else that steers a terminal", () => {
  const own = "a\n\tb \u001B[1m\u001B[32mgreen\u001B[39m\u001B[22m 👩‍👩‍👧";
  expect(terminalText(own, { coloured: true })).toBe(own);
  for (const escape of ESCAPES)
    for (const coloured of [true, false]) expect(terminalText(`x${escape}y`, { coloured })).not.toMatch(STEERING);
  expect(terminalText("\u001B[31mred", { coloured: false })).toBe("�[31mred");
});

it("no output of a command carries what steers a terminal", () => {
  const written = outputs();
  for (const json of [true, false]) {
    const ui = createUi({ json });
    for (const escape of ESCAPES) {
      ui.line(`line ${escape}`);
      ui.note(`note ${escape}`);
      ui.status(escape);
      ui.progress(`file ${escape}`, 1, 2);
      ui.event("event", { text: escape });
    }
    ui.close();
  }
  expect(written.stdout + written.stderr).not.toMatch(STEERING);
});

it("writes results to the standard output, and only notes and progress to the other", () => {
  const written = outputs();
  const ui = createUi({ json: false });
  ui.progress("Adding", 1, 2);
  ui.status("waiting");
  ui.note("trying again in 2 s");
  ui.line("bafy");
  ui.progress("Adding", 2, 2);
  ui.close();
  expect(written.stdout).toBe("bafy\n");
  expect(written.stderr).toBe("Adding: 50 %\ntrying again in 2 s\nAdding: 100 %\n");
});

it("JSON stays the same value", () => {
  const value = { text: ESCAPES.join("") };
  expect(JSON.parse(toJson(value))).toEqual(value);
});
