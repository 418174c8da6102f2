// The examples of tables, from their CSV files to a paid model, with the command line alone.
import fs from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";

const MINUTES = 150_000;
let network: TestNetwork;
beforeAll(async () => {
  network = await startTestNetwork(3);
}, 60_000);
afterAll(() => network.close(), 60_000);

test.each([
  ["iris", 0.9, "setosa, versicolor, virginica"],
  ["digits", 0.85, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"],
])("%s is trained by three workers, proven, and paid for", { timeout: MINUTES }, async (name, accuracy, classes) => {
  const requester = network.train(path.join(import.meta.dirname, "..", "examples", name, "job.yaml"));
  const summary = await requester.event("summary", MINUTES);
  expect(summary).toMatchObject({ outcome: "COMPLETED", mode: "proof", zk: true, statesIdentical: true, rounds: 2 });
  expect(summary.testAccuracy).toBeGreaterThan(accuracy);
  expect(BigInt(String(summary.paid))).toBe(12_000_000n);
  expect(await requester.event("data")).toMatchObject({ name, classes: classes.split(", ") });
  const data = path.join(network.folder, "requester");
  expect(await fs.readdir(path.join(data, "datasets")), "no plaintext is left").toEqual([]);
});
