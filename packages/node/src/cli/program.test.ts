import type { Command } from "commander";
import { beforeAll, describe, expect, it } from "vitest";
import { commands, createProgram } from "./program.ts";

let program: Command;
beforeAll(async () => {
  program = await createProgram(Object.keys(commands));
});

/** Commands that do something, by their full names. */
function namesOf(command: Command, path: readonly string[] = []): string[] {
  const own = path.length > 0 && (command.commands.length === 0 || command.options.length > 0);
  return [...(own ? [path.join(" ")] : []), ...command.commands.flatMap((sub) => namesOf(sub, [...path, sub.name()]))];
}

function find(name: string): Command {
  let command = program;
  for (const part of name.split(" ")) command = command.commands.find((sub) => sub.name() === part)!;
  return command;
}

describe("help", () => {
  it("knows every command", () => {
    expect(namesOf(program)).toEqual(
      expect.arrayContaining([
        "start",
        "train",
        "job post",
        "data buy",
        "model offer",
        "infer",
        "worker stake",
        "wallet fund",
      ]),
    );
  });

  it("of every command shows options, --json and an example", () => {
    for (const name of namesOf(program)) {
      const command = find(name);
      let text = "";
      command.configureOutput({ writeOut: (part) => void (text += part) });
      command.outputHelp();
      expect(text, name).toMatch(/--json/);
      expect(text, name).toMatch(/Examples?:\n {2}\$ (npx skynet|npm start)/);
      expect(command.description(), name).not.toBe("");
    }
  });
});

describe("--no-upnp", () => {
  it("is an option of every command that opens a node for others to reach", () => {
    const optionsOf = (name: string) => find(name).options.map(({ flags }) => flags);
    const listen = namesOf(program).filter((name) => optionsOf(name).includes("--listen <multiaddr>"));
    expect(listen).toEqual(expect.arrayContaining(["worker", "host", "train", "job post", "relay", "data buy"]));
    expect(listen.filter((name) => !optionsOf(name).includes("--no-upnp"))).toEqual([]);
  });
});

describe("options of a subcommand", () => {
  const several = [
    ["worker", "register"],
    ["worker", "status"],
    ["earnings", "claim"],
  ];
  it.each(several)("reach %s %s, not the command above it, which has the same ones", async (name, part) => {
    const fresh = await createProgram([name!]);
    const above = fresh.commands.find((command) => command.name() === name)!;
    const sub = above.commands.find((command) => command.name() === part)!;
    let keystore: unknown;
    sub.action(() => (keystore = sub.opts().keystore));
    await fresh.parseAsync([name!, part!, "--keystore", "cold.json"], { from: "user" });
    expect([keystore, above.opts().keystore]).toEqual(["cold.json", undefined]);
  });
});
