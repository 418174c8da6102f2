import { expect, test } from "vitest";
import { crashImports } from "./crashes.ts";

test("an import that is killed leaves no half dataset and no damaged block, and goes on to the same root", async () => {
  const { kills } = await crashImports({ count: 4, seed: 3 });
  expect(kills).toBeGreaterThan(0);
}, 60_000);
