import { toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { createTestClient, encodeFunctionData, http, zeroAddress, zeroHash } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { inferenceBoardAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { InferenceState } from "./chain/market-types.ts";
import type { InferenceEvent, OfferTerms } from "./chain/market-types.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties } from "./test-job.ts";
import { answerOf, answerProof, hash, offerTerms } from "./test-market.ts";
import { verifierDescription, verifierInitcode } from "./test-proof-job.ts";

let chain: TestChain;
let host: Chain;
let requester: Chain;
let stranger: Chain;
let terms: OfferTerms;
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(3);
  [host, requester, stranger] = chain.parties as [Chain, Chain, Chain];
  await fundParties(chain.parties);
  terms = await offerTerms(host);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const ledgerOf = async (party: Chain) => (await party.balances(party.addresses.testToken)).ledger;
/** What happened to the Ledger balances of host and requester. */
async function changes(action: () => Promise<unknown>): Promise<[bigint, bigint]> {
  const before = [await ledgerOf(host), await ledgerOf(requester)] as const;
  await action();
  return [(await ledgerOf(host)) - before[0], (await ledgerOf(requester)) - before[1]];
}

const unknown: Hex = `0x${"77".repeat(32)}`;
const xId = hash("input");
const xRef = new TextEncoder().encode("bafyinput");
const z = answerOf([3n, 2n ** 256n - 5n, 0n]);

async function ask(change: Partial<OfferTerms> = {}, by = host) {
  const own = { ...terms, ...change };
  const { offerId } = await by.inference.offer(own);
  const { orderId } = await requester.inference.request(offerId, own.price, { xId, xRef });
  return { offerId, orderId, host: by.address, terms: own, xId };
}

describe("offers", () => {
  test("are stored and found", async () => {
    const { offerId } = await host.inference.offer(terms);
    const { meta: _meta, ...stored } = terms;
    expect(await requester.inference.offerOf(offerId)).toMatchObject({ ...stored, host: host.address, active: true });
    const find = (filter: object) => requester.inference.offers(filter);
    const [published] = await find({ host: host.address, modelId: terms.modelId });
    expect(published).toMatchObject({ offerId, host: host.address, terms });
    expect(await requester.inference.published(offerId)).toEqual(published);
    expect(await find({ modelId: hash("another model") })).toEqual([]);
    const again = await host.inference.offer(terms);
    expect(again.offerId).not.toBe(offerId);
    await expect(requester.inference.offerOf(unknown)).rejects.toMatchObject({ code: "UnknownOffer" });
    await expect(requester.inference.published(unknown)).rejects.toMatchObject({ code: "UnknownOffer" });
  });

  test.each([
    ["BadModel", { modelId: zeroHash }],
    ["BadVerifier", { verifierId: unknown }],
    ["BadLatency", { maxLatency: 0 }],
    ["BadLatency", { maxLatency: 7 * 86_400 + 1 }],
    ["MetaTooLong", { meta: `0x${"00".repeat(4097)}` as Hex }],
    ["NotToken", { token: zeroAddress }],
  ])("are refused with %s for %o", async (code, change) => {
    await expect(host.inference.offer({ ...terms, ...change })).rejects.toMatchObject({ code });
  });

  test("need a live verifier of inferences", async () => {
    const step = await host.deployVerifier(verifierDescription, verifierInitcode);
    const wrong = host.inference.offer({ ...terms, verifierId: step.verifierId });
    await expect(wrong).rejects.toMatchObject({ code: "BadVerifier" });
  });

  test("belong to their host", async () => {
    const { offerId } = await host.inference.offer(terms);
    await expect(stranger.inference.setPrice(offerId, 1n)).rejects.toMatchObject({ code: "NotHost" });
    await expect(stranger.inference.close(offerId)).rejects.toMatchObject({ code: "NotHost" });
    await host.inference.setPrice(offerId, 41n);
    await expect(requester.inference.request(offerId, 40n, { xId, xRef })).rejects.toMatchObject({
      code: "PriceChanged",
      details: [41n],
    });
    await host.inference.close(offerId);
    await expect(host.inference.close(offerId)).rejects.toMatchObject({ code: "NotActive" });
    await expect(host.inference.setPrice(offerId, 1n)).rejects.toMatchObject({ code: "NotActive" });
    await expect(requester.inference.request(offerId, 50n, { xId, xRef })).rejects.toMatchObject({
      code: "NotActive",
    });
  });

  test("can be free, without a token, until they get a price", async () => {
    const order = await ask({ price: 0n, token: zeroAddress });
    await expect(host.inference.setPrice(order.offerId, 1n)).rejects.toMatchObject({ code: "NotToken" });
    const proof = answerProof(host, order, z);
    expect(await changes(() => host.inference.answer(order.orderId, z, proof))).toEqual([0n, 0n]);
    expect((await host.inference.order(order.orderId)).state).toBe(InferenceState.PAID);
    const { orderId } = await requester.inference.request(order.offerId, 0n, { xId, xRef });
    await chain.advance(100);
    await stranger.inference.tick(orderId);
  });
});

describe("orders", () => {
  test("escrow the price, and tell the host where the input is", async () => {
    const { offerId } = await host.inference.offer(terms);
    const spent = await changes(() => requester.inference.request(offerId, 40n, { xId, xRef }));
    expect(spent).toEqual([0n, -40n]);
    const requested = (await host.inference.events({ offerId })).find((event) => event.name === "Requested")!;
    expect(requested.args).toMatchObject({ requester: requester.address, price: 40n, xId, xRef: toHex(xRef) });
    const order = await host.inference.order(requested.args.orderId);
    expect(order).toMatchObject({ offerId, requester: requester.address, state: InferenceState.OPEN, xId });
    await expect(host.inference.order(unknown)).rejects.toMatchObject({ code: "UnknownOrder" });
    await expect(host.inference.statement(unknown, z)).rejects.toMatchObject({ code: "UnknownOrder" });
  });

  test("are refused without an input, with a reference that is too long, and without money", async () => {
    const { offerId } = await host.inference.offer(terms);
    const request = (input: object) => requester.inference.request(offerId, 40n, { xId, xRef, ...input });
    await expect(request({ xId: zeroHash })).rejects.toMatchObject({ code: "BadInput" });
    await expect(request({ xRef: new Uint8Array(1025) })).rejects.toMatchObject({ code: "ReferenceTooLong" });
    await request({ xRef: new Uint8Array(1024) });
    await requester.withdraw(terms.token, await ledgerOf(requester));
    await expect(request({})).rejects.toMatchObject({ code: "InsufficientBalance" });
  });

  test("pay the host for a proven answer, whoever sends it, once", async () => {
    const order = await ask();
    const proof = answerProof(host, order, z);
    expect(await changes(() => stranger.inference.answer(order.orderId, z, proof))).toEqual([40n, 0n]);
    const answered = (await requester.inference.events({ offerId: order.offerId })).at(-1)!;
    expect(answered).toMatchObject({ name: "Answered", args: { host: host.address, amount: 40n, z: toHex(z) } });
    await expect(host.inference.answer(order.orderId, z, proof)).rejects.toMatchObject({
      code: "WrongState",
      details: [InferenceState.PAID],
    });
    await chain.advance(101);
    await expect(requester.inference.tick(order.orderId)).rejects.toMatchObject({ code: "WrongState" });
  });

  test("have a statement that the client computes in the same way", async () => {
    const order = await ask();
    const { context, idOut } = await host.inference.statement(order.orderId, z);
    const proof = answerProof(host, order, z);
    const statement = { context, idIn: terms.modelId, idOut, idData: xId };
    expect(await host.verify(terms.verifierId, statement, proof)).toBe(true);
    expect(await host.verify(terms.verifierId, { ...statement, idOut: xId }, proof)).toBe(false);
  });

  test("a closed offer still answers what is open", async () => {
    const order = await ask();
    await host.inference.setPrice(order.offerId, 1n);
    await host.inference.close(order.offerId);
    const proof = answerProof(host, order, z);
    expect(await changes(() => host.inference.answer(order.orderId, z, proof))).toEqual([40n, 0n]);
  });

  test("are answered until the last second, then only the refund is left", async () => {
    const order = await ask();
    const { at } = await host.inference.order(order.orderId);
    const proof = answerProof(host, order, z);
    await chain.jumpTo(at + 99);
    await expect(requester.inference.tick(order.orderId)).rejects.toMatchObject({ code: "TooEarly" });
    const back = await chain.checkpoint();
    await chain.jumpTo(at + 99);
    await host.inference.answer(order.orderId, z, proof);
    await back();
    await chain.jumpTo(at + 100);
    await expect(host.inference.answer(order.orderId, z, proof)).rejects.toMatchObject({ code: "TooLate" });
    expect(await changes(() => stranger.inference.tick(order.orderId))).toEqual([0n, 40n]);
    await expect(stranger.inference.tick(order.orderId)).rejects.toMatchObject({ code: "WrongState" });
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["more than 1 KiB", new Uint8Array(1025)],
  ])("take no answer of %s", async (_name, answer) => {
    const order = await ask();
    const proof = answerProof(host, order, answer);
    await expect(host.inference.answer(order.orderId, answer, proof)).rejects.toMatchObject({ code: "BadAnswer" });
  });

  test("take an answer of 1 KiB", async () => {
    const order = await ask();
    const largest = new Uint8Array(1024).fill(7);
    await host.inference.answer(order.orderId, largest, answerProof(host, order, largest));
  });
});

describe("a proof counts for one place only", () => {
  /** The proof of `proven`, sent for `order`. */
  const refused = async (order: Awaited<ReturnType<typeof ask>>, proof: Hex, answer = z) => {
    const money = await changes(() =>
      expect(host.inference.answer(order.orderId, answer, proof)).rejects.toMatchObject({ code: "AnswerRejected" }),
    );
    expect(money).toEqual([0n, 0n]);
    expect((await host.inference.order(order.orderId)).state).toBe(InferenceState.OPEN);
  };

  test("not for another order of the same offer and input", async () => {
    const order = await ask();
    const proof = answerProof(host, order, z);
    const { orderId } = await requester.inference.request(order.offerId, 40n, { xId, xRef });
    await refused({ ...order, orderId }, proof);
  });

  test("not for another answer, shorter, longer or padded", async () => {
    const order = await ask();
    const proof = answerProof(host, order, z);
    const changed = z.slice();
    changed[31]! ^= 1;
    for (const other of [changed, z.slice(0, 64), z.slice(0, 95), new Uint8Array([...z, 0]), new Uint8Array(96)])
      await refused(order, proof, other);
  });

  test.each([
    ["another model", { modelId: hash("another model") }],
    ["another prefix of the output", { outputTag: hash("another tag") }],
  ])("not for %s", async (_name, change) => {
    const order = await ask();
    await refused(order, answerProof(host, { ...order, terms: { ...order.terms, ...change } }, z));
  });

  test("not for another input, host, board or chain", async () => {
    const order = await ask();
    await refused(order, answerProof(host, { ...order, xId: hash("another input") }, z));
    await refused(order, answerProof(host, { ...order, host: stranger.address }, z));
    const addresses = { ...host.addresses, inferenceBoard: host.addresses.jobBoard };
    await refused(order, answerProof({ ...host, addresses }, order, z));
    await refused(order, answerProof({ ...host, chainId: 534_352 }, order, z));
    await refused(order, "0x");
    await host.inference.answer(order.orderId, z, answerProof(host, order, z));
  });

  test("a copied answer pays its host, and a host that copies an offer gets nothing", async () => {
    const order = await ask();
    const proof = answerProof(host, order, z);
    const copy = await ask({}, stranger);
    await refused(copy, proof);
    const before = await ledgerOf(stranger);
    expect(await changes(() => stranger.inference.answer(order.orderId, z, proof))).toEqual([40n, 0n]);
    expect(await ledgerOf(stranger)).toBe(before);
  });

  test("the ids of orders bind input, reference and requester", async () => {
    const { offerId } = await host.inference.offer(terms);
    const ids = new Set<Hex>();
    for (const input of [
      { xId, xRef },
      { xId: hash("another input"), xRef },
      { xId, xRef: new Uint8Array() },
    ]) {
      const back = await chain.checkpoint();
      ids.add((await requester.inference.request(offerId, 40n, input)).orderId);
      await back();
    }
    ids.add((await stranger.inference.request(offerId, 40n, { xId, xRef })).orderId);
    expect(ids.size).toBe(4);
  });
});

describe("hostile verifiers", () => {
  /** Initcode of a contract with this runtime code, padded to 32 bytes. */
  const creationOf = (runtime: string): Hex => `0x6020600c60003960206000f3${runtime.padEnd(64, "0")}`;

  test.each([
    ["burns all gas", "fe"],
    ["loops", "5b600056"],
    ["answers with two words", "600160005260406000f3"],
  ])("one that %s only costs its requester time", async (name, runtime) => {
    const description = { ...verifierDescription, kind: 2, circuitHash: hash(name) };
    const { verifierId } = await host.deployVerifier(description, creationOf(runtime));
    const order = await ask({ verifierId });
    const args = [order.orderId, toHex(z), "0x"] as const;
    const { walletClient, publicClient } = await connect(chain.anvil.rpcUrl, testKey(0));
    const data = encodeFunctionData({ abi: inferenceBoardAbi, functionName: "answer", args });
    const sent = await walletClient.sendTransaction({ to: host.addresses.inferenceBoard, data, gas: 2_000_000n });
    expect((await publicClient.waitForTransactionReceipt({ hash: sent })).status).toBe("reverted");
    await chain.advance(100);
    expect(await changes(() => requester.inference.tick(order.orderId))).toEqual([0n, 40n]);
  });

  test("one whose code changed after the order answers nothing", async () => {
    const description = { ...verifierDescription, kind: 2, circuitHash: hash("yes") };
    const yes = "600160005260206000f3";
    const { verifierId, at } = await host.deployVerifier(description, creationOf(yes));
    const order = await ask({ verifierId });
    // anvil can place code that no transaction could
    const rpc = createTestClient({ mode: "anvil", transport: http(chain.anvil.rpcUrl) });
    await rpc.setCode({ address: at, bytecode: `0x${yes.padEnd(66, "0")}` });
    await expect(host.inference.answer(order.orderId, z, "0x")).rejects.toMatchObject({ code: "AnswerRejected" });
    await rpc.setCode({ address: at, bytecode: `0x${yes.padEnd(64, "0")}` });
    await host.inference.answer(order.orderId, z, "0x");
  });
});

test("events are watched from any block", async () => {
  const from = await requester.blockNumber();
  const order = await ask();
  const seen: InferenceEvent[] = [];
  const stop = new AbortController();
  const watching = requester.inference.watch({
    fromBlock: from + 1n,
    intervalMs: 10,
    signal: stop.signal,
    onEvents: (events) => {
      seen.push(...events);
      if (seen.some(({ name }) => name === "Answered")) stop.abort();
    },
  });
  await host.inference.answer(order.orderId, z, answerProof(host, order, z));
  await watching;
  expect(seen.map(({ name }) => name)).toEqual(["Offered", "Requested", "Answered"]);
});
