import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Browser, findChromium, startChromium } from "./support/chromium.ts";
import { proveSmallStep, type SmallStep } from "./support/small-step.ts";
import { type ServeOptions, serveSources, type SourceServer } from "./support/source-server.ts";

const chromium = findChromium();
const PAGE_MS = 45_000;

/** How many Web Workers for multiplications the pages of a server started. */
const workersOf = ({ requests }: SourceServer) =>
  requests.filter(({ path, destination }) => path.endsWith("/vectors/thread.ts") && destination === "worker").length;

describe.skipIf(chromium === undefined)("proofs in a browser (needs Chromium)", () => {
  let browser: Browser;
  let inNode: SmallStep;
  beforeAll(async () => {
    browser = await startChromium(chromium!);
    inNode = await proveSmallStep(1);
  });
  afterAll(() => browser?.close());

  /** Calls an export of small-step.ts in a new page. */
  async function inPage<T>(options: ServeOptions, call: string): Promise<{ value: T; server: SourceServer }> {
    const server = await serveSources(options);
    try {
      const page = await browser.open(`${server.origin}/`);
      const value = await page.evaluate<T>(
        `import("/tests/support/small-step.ts").then((module) => module.${call})`,
        PAGE_MS,
      );
      return { value, server };
    } finally {
      await server.close();
    }
  }

  it("an isolated page proves on two threads, with the bytes that Node gives", async () => {
    const { value, server } = await inPage<SmallStep>({ isolated: true }, "proveInPage(2)");
    expect(value).toEqual({ ...inNode, sharedMemory: true, afterClose: "WorkerFailed" });
    expect(value.verdict).toBe("ok");
    expect(value.flipped).toEqual(value.flipped.map(() => "ProofRejected"));
    expect(workersOf(server)).toBe(1);
    expect(server.requests.filter(({ path }) => path.includes("/solc/"))).toEqual([]);
  });

  it("a worker of an isolated page proves on two threads", async () => {
    const { value, server } = await inPage<SmallStep>({ isolated: true }, "proveInWorker(2)");
    expect(value).toEqual({ ...inNode, sharedMemory: true, afterClose: "WorkerFailed" });
    expect(workersOf(server)).toBe(1);
  });

  it("a page without shared memory proves on one thread, with the same bytes", async () => {
    const { value, server } = await inPage<SmallStep>({ isolated: false }, "proveInPage(2)");
    expect(value).toEqual({ ...inNode, sharedMemory: false });
    expect(workersOf(server)).toBe(0);
  });

  it("a thread that does not load is a clear error", async () => {
    const { value } = await inPage<string>({ isolated: true, missing: /\/thread\.ts$/ }, "startInPage(2)");
    expect(value).toMatch(/^WorkerFailed: .*script did not load/);
  });
});
