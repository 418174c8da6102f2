import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

/** A package imports only packages before it in this list (docs/architecture.md). */
const order = ["protocol", "onnx", "proof", "contracts", "network", "storage", "indexer", "swarm", "node"];
const packages = path.join(import.meta.dirname, "..", "packages");

function sourcesOf(name: string): string[] {
  return fs
    .readdirSync(path.join(packages, name, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => path.join(packages, name, "src", file));
}

const manifestOf = (name: string) =>
  JSON.parse(fs.readFileSync(path.join(packages, name, "package.json"), "utf8")) as {
    exports: Record<string, string>;
    dependencies: Record<string, string>;
  };

function importsOf(file: string): string[] {
  const source = fs.readFileSync(file, "utf8");
  return [...source.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map((match) => match[1]!);
}

describe("package order", () => {
  it("lists every package", () => {
    expect(fs.readdirSync(packages).sort()).toEqual([...order].sort());
  });

  it.each(order)("%s imports only packages before it, by their public face", (name) => {
    for (const file of sourcesOf(name)) {
      for (const specifier of importsOf(file)) {
        const inner = /^@skynet\/([^/]+)(\/.*)?$/.exec(specifier);
        if (inner) {
          expect(order.indexOf(inner[1]!), `${file} imports ${specifier}`).toBeLessThan(order.indexOf(name));
          const { exports: faces } = manifestOf(inner[1]!);
          const face = `.${inner[2] ?? ""}`;
          expect(face === "." || face in faces, `${file} imports an inner file: ${specifier}`).toBe(true);
          expect(Object.keys(manifestOf(name).dependencies), `${name}/package.json`).toContain(`@skynet/${inner[1]}`);
        } else if (specifier.startsWith(".") && !/\.test\.ts$|fuzz\.ts$/.test(file)) {
          const target = path.resolve(path.dirname(file), specifier);
          expect(path.relative(path.join(packages, name), target), `${file} leaves its package`).not.toMatch(/^\.\./);
        }
      }
    }
  });

  it.each(["protocol", "onnx", "proof", "network", "swarm"])(
    "%s runs in a browser: no Node module outside tests",
    (name) => {
      const allowed = new Set(["kernels.ts"]);
      const nodeOnly = /^[a-z]+\/src\/(node\.ts$|node\/|platform\/node\.ts$)/;
      for (const file of sourcesOf(name).filter((source) => !/\.test\.ts$|fuzz\.ts$|testing/.test(source))) {
        if (allowed.has(path.basename(file)) || nodeOnly.test(path.relative(packages, file))) continue;
        for (const specifier of importsOf(file)) expect(specifier, file).not.toMatch(/^node:/);
      }
    },
  );
});
