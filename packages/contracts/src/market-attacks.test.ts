import type { Hex } from "@skynet/protocol";
import type { Abi } from "viem";
import { encodeFunctionData } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as BlacklistToken from "../generated/BlacklistToken.ts";
import * as FalseReturnToken from "../generated/FalseReturnToken.ts";
import * as FeeToken from "../generated/FeeToken.ts";
import * as NoReturnToken from "../generated/NoReturnToken.ts";
import * as ReentrantToken from "../generated/ReentrantToken.ts";
import { catalogAbi, inferenceBoardAbi, ledgerAbi, tokenAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import { PurchaseState } from "./chain/market-types.ts";
import { createSender } from "./chain/transactions.ts";
import type { Call } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import {
  answerOf,
  answerProof,
  buyerSecret,
  buyListing,
  listingTerms,
  offerTerms,
  rightDelivery,
  wrongDelivery,
} from "./test-market.ts";

let chain: TestChain;
let seller: Chain;
let buyer: Chain;
let outsider: Connection;
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(2);
  [seller, buyer] = chain.parties as [Chain, Chain];
  outsider = await connect(chain.anvil.rpcUrl, testKey(99));
  await chain.anvil.setBalance(outsider.account.address, 10n ** 21n);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const send = (call: Call) => createSender(outsider)(call);

/** A token of which both parties hold 10,000 units. */
async function deployToken({ abi, bytecode }: { abi: Abi; bytecode: Hex }): Promise<Hex> {
  const { walletClient, publicClient } = outsider;
  const hash = await walletClient.deployContract({ abi, bytecode });
  const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash });
  const address = contractAddress!.toLowerCase() as Hex;
  for (const party of chain.parties)
    await send({ address, abi: tokenAbi, functionName: "mint", args: [party.address, 10_000n] });
  return address;
}

async function fund(token: Hex): Promise<void> {
  for (const party of chain.parties) await party.deposit(token, 1_000n);
}

/** Units in the Ledger by its own accounts, and by the token. */
async function held(token: Hex): Promise<{ total: bigint; tokens: bigint }> {
  const { publicClient } = outsider;
  const { ledger } = seller.addresses;
  const [total, tokens] = await Promise.all([
    publicClient.readContract({ address: ledger, abi: ledgerAbi, functionName: "total", args: [token] }),
    publicClient.readContract({ address: token, abi: tokenAbi, functionName: "balanceOf", args: [ledger] }),
  ]);
  return { total, tokens };
}

const ledgers = (token: Hex) => Promise.all([seller, buyer].map(async (party) => (await party.balances(token)).ledger));

describe("tokens that do not behave, in a purchase", () => {
  test.each([
    ["that keeps a fee", FeeToken, "FeeOnTransfer"],
    ["that only says false", FalseReturnToken, "SafeERC20FailedOperation"],
  ])("one %s never gets in, so that nothing can be bought with it", async (_name, contract, code) => {
    const token = await deployToken(contract);
    await expect(buyer.deposit(token, 1_000n)).rejects.toMatchObject({ code });
    const { listingId } = await seller.catalog.list(listingTerms(seller, { token, bond: 0n }));
    await expect(buyer.catalog.buy(listingId, 100n, rightDelivery().R)).rejects.toMatchObject({
      code: "InsufficientBalance",
    });
  });

  test("one that returns nothing works", async () => {
    const token = await deployToken(NoReturnToken);
    await fund(token);
    const { orderId } = await buyListing(seller, buyer, { token });
    await seller.catalog.deliver(orderId, wrongDelivery());
    await buyer.catalog.complain(orderId, buyerSecret);
    expect(await ledgers(token)).toEqual([750n, 1_100n]);
    await buyer.withdraw(token, 1_100n);
    expect(await held(token)).toEqual({ total: 900n, tokens: 900n });
  });

  test("one that refuses the seller pays it in the Ledger, and hinders nobody else", async () => {
    const token = await deployToken(BlacklistToken);
    await fund(token);
    const [first, second] = [await buyListing(seller, buyer, { token }), await buyListing(seller, buyer, { token })];
    await send({ address: token, abi: BlacklistToken.abi, functionName: "refuse", args: [seller.address] });
    await seller.catalog.deliver(first.orderId, rightDelivery());
    await chain.advance(30);
    await buyer.catalog.tick(first.orderId);
    await chain.advance(20);
    await buyer.catalog.cancel(second.orderId);
    expect(await ledgers(token)).toEqual([600n, 900n]);
    await expect(seller.withdraw(token, 1n)).rejects.toMatchObject({ code: "Reverted" });
    await buyer.withdraw(token, 900n);
    expect(await held(token)).toEqual({ total: 1_100n, tokens: 1_100n });
  });

  const marketCalls = {
    "tick of a purchase": (id: Hex) => encodeFunctionData({ abi: catalogAbi, functionName: "tick", args: [id] }),
    "withdrawal for the seller": (_id: Hex, token: Hex) =>
      encodeFunctionData({ abi: ledgerAbi, functionName: "withdrawFor", args: [token, seller.address] }),
  };
  test.each(Object.entries(marketCalls))(
    "one that calls a %s from inside a withdrawal gains nothing",
    async (name, call) => {
      const token = await deployToken(ReentrantToken);
      await fund(token);
      const { orderId } = await buyListing(seller, buyer, { token });
      await seller.catalog.deliver(orderId, rightDelivery());
      await chain.advance(10);
      const { catalog, ledger } = seller.addresses;
      const target = name.startsWith("tick") ? catalog : ledger;
      await send({
        address: token,
        abi: ReentrantToken.abi,
        functionName: "arm",
        args: [target, call(orderId, token)],
      });
      await buyer.withdraw(token, 500n);
      const flag = (functionName: "attempted" | "succeeded") =>
        outsider.publicClient.readContract({ address: token, abi: ReentrantToken.abi, functionName });
      // the tick is anybody's right, at this moment too: it moves what it would move a moment later
      expect([await flag("attempted"), await flag("succeeded")]).toEqual([true, name.startsWith("tick")]);
      if (!name.startsWith("tick")) await buyer.catalog.tick(orderId);
      await expect(buyer.catalog.tick(orderId)).rejects.toMatchObject({ code: "WrongState" });
      expect((await buyer.catalog.order(orderId)).state).toBe(PurchaseState.PAID);
      expect(await ledgers(token)).toEqual([850n, 400n]);
      expect(await held(token)).toEqual({ total: 1_500n, tokens: 1_500n });
    },
  );
});

test("an answer inside a withdrawal of a hostile token pays once", async () => {
  const token = await deployToken(ReentrantToken);
  await fund(token);
  const terms = await offerTerms(seller, { token });
  const { offerId } = await seller.inference.offer(terms);
  const xId = terms.modelId;
  const { orderId } = await buyer.inference.request(offerId, 40n, { xId, xRef: new Uint8Array() });
  const z = answerOf([1n]);
  const proof = answerProof(seller, { orderId, host: seller.address, terms, xId }, z);
  const args = [orderId, `0x${Buffer.from(z).toString("hex")}`, proof] as const;
  const inner = encodeFunctionData({ abi: inferenceBoardAbi, functionName: "answer", args });
  const target = seller.addresses.inferenceBoard;
  await send({ address: token, abi: ReentrantToken.abi, functionName: "arm", args: [target, inner] });
  await buyer.withdraw(token, 500n);
  await expect(seller.inference.answer(orderId, z, proof)).rejects.toMatchObject({ code: "WrongState" });
  expect(await ledgers(token)).toEqual([1_040n, 460n]);
});

test("no module moves the escrow of another", async () => {
  const { publicClient } = outsider;
  const read = (functionName: "catalog" | "inferenceBoard" | "jobBoard" | "workerRegistry") =>
    publicClient.readContract({ address: seller.addresses.ledger, abi: ledgerAbi, functionName });
  const modules = await Promise.all((["workerRegistry", "jobBoard", "catalog", "inferenceBoard"] as const).map(read));
  const { workerRegistry, jobBoard, catalog, inferenceBoard } = seller.addresses;
  expect(modules.map((module) => module.toLowerCase())).toEqual([workerRegistry, jobBoard, catalog, inferenceBoard]);
  // what one module would have to call to rob an order of the Catalog takes from an account of its own, which is empty
  const token = seller.addresses.testToken;
  await seller.mint(1_000n);
  await seller.deposit(token, 1_000n);
  await buyer.mint(1_000n);
  await buyer.deposit(token, 1_000n);
  const { orderId } = await buyListing(seller, buyer);
  const data = encodeFunctionData({
    abi: ledgerAbi,
    functionName: "move",
    args: [token, orderId, `0x${outsider.account.address.slice(2).padStart(64, "0")}`, 100n],
  });
  for (const module of [workerRegistry, jobBoard, inferenceBoard])
    await expect(publicClient.call({ account: module, to: seller.addresses.ledger, data })).rejects.toThrow(
      /InsufficientBalance|0xcf479181/,
    );
  await expect(publicClient.call({ account: catalog, to: seller.addresses.ledger, data })).resolves.toBeDefined();
});
