// A sample of `npm run fuzz -- network-loss --count 10000`.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { whyNoLab } from "./netlab/lab.ts";
import { checkLoss, LOSSY_TRANSPORTS, openLossyLab } from "./support/loss.ts";

const missing = whyNoLab();
const EACH = 100;

describe.skipIf(missing)(missing === undefined ? "a fifth of all packets lost" : `loss, skipped: ${missing}`, () => {
  let lab: Awaited<ReturnType<typeof openLossyLab>>;
  beforeAll(async () => {
    lab = await openLossyLab();
  });
  afterAll(() => lab?.close(), 60_000);

  it.concurrent.each(LOSSY_TRANSPORTS)(
    "over %s every message arrives once, in order, and is acknowledged",
    async (transport) => {
      const report = await lab.send(transport, { each: EACH });
      checkLoss(report, EACH);
      const inOrder = Array.from({ length: EACH }, (_, i) => i + 1);
      expect(report).toMatchObject({ acknowledged: 2 * EACH, lost: 0, waiting: 0, handled: [inOrder, inOrder] });
    },
    400_000,
  );
});
