import { verifierIdOf, VerifierKind } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { toHex, zeroAddress, zeroHash } from "viem";
import type { Agent } from "./agent.ts";
import { padOf, Purchase, windows, xorWords } from "./catalog-model.ts";
import type { ListingArgument } from "./catalog-model.ts";
import { CURVE_ORDER } from "../test-curve.ts";
import { factorOf, pointOf } from "./curve-points.ts";
import { Request } from "./inference-model.ts";
import type { OfferArgument } from "./inference-model.ts";
import { verifierDescription } from "./job-terms.ts";
import { testProof } from "./verifier-model.ts";
import { hashText, hashWords } from "./words.ts";
import type { Call } from "./world.ts";

/** Things that calls are made about; older ones are left alone. */
const RECENT = 10;
const MAX_PRICE = (1n << 96n) - 1n;
const key = (index: number): Hex => hashText(`key ${index}`);
const bytes = (length: number): Hex => toHex(new Uint8Array(length));

/** A second at which something changes its rules, and the calls that end differently from then on. */
interface Deadline {
  readonly time: number;
  readonly moves: readonly (() => Call)[];
}

/** Calls of the Catalog and of the InferenceBoard. */
export class MarketMoves {
  readonly #agent: Agent;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Seconds at which something changes its rules. */
  edges(): number[] {
    return this.#deadlines().map(({ time }) => time);
  }

  next(): Call {
    const { random, now } = this.#agent;
    const close = this.#deadlines().filter(({ time }) => time === now || time === now + 1);
    if (close.length > 0 && random.chance(0.4)) return random.pick(random.pick(close).moves)();
    return random.chance(0.6) ? this.#catalog() : this.#inference();
  }

  #deadlines(): Deadline[] {
    const { catalog, inference } = this.#agent.world;
    const purchases = catalog.bought.slice(-RECENT).flatMap((id): Deadline[] => {
      const { state, at } = catalog.orders.get(id);
      const [cancel, tick] = [() => this.#cancel(id), () => this.#tick("catalog", id)];
      if (state === Purchase.NEW)
        return [
          { time: at + windows.cancel, moves: [cancel] },
          { time: at + windows.delivery, moves: [() => this.#deliver(id), cancel, tick] },
        ];
      const complain = () => this.#complain(id);
      return state === Purchase.DELIVERED ? [{ time: at + windows.complaint, moves: [complain, tick] }] : [];
    });
    const requests = inference.requested.slice(-RECENT).flatMap((id): Deadline[] => {
      const { state, at, offerId } = inference.orders.get(id);
      const moves = [() => this.#answer(id), () => this.#tick("inferenceBoard", id)];
      return state === Request.OPEN ? [{ time: at + inference.offers.get(offerId).maxLatency, moves }] : [];
    });
    return [...purchases, ...requests];
  }

  #call(from: Hex, contract: "catalog" | "inferenceBoard", name: string, ...args: readonly unknown[]): Call {
    const { world } = this.#agent;
    // who would act if the thing existed is nobody
    return world.call(from === zeroAddress ? this.#agent.anybody() : from, contract, name, ...args);
  }

  #recent(ids: readonly Hex[]): Hex {
    const recent = ids.slice(-RECENT);
    return recent.length === 0 ? hashText("nothing") : this.#agent.random.pick(recent);
  }

  // Catalog.

  #catalog(): Call {
    const { random, world } = this.#agent;
    const { catalog } = world;
    const roll = random.next();
    if (roll < 0.12 || catalog.listed.length === 0) return this.#list();
    if (roll < 0.4) return this.#buy();
    if (roll < 0.45) return this.#change();
    return this.#serve();
  }

  #list(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const free = random.chance(0.1);
    const right: ListingArgument = {
      kind: random.pick([1, 2]),
      licence: random.below(4),
      token: world.tokens[random.chance(0.8) ? 0 : 1],
      price: free ? 0n : BigInt(1 + random.below(500)),
      bond: free ? 0n : BigInt(random.pick([0, 50, 1_000])),
      contentRoot: hashText("content"),
      keyCommit: free ? zeroHash : hashWords(key(random.below(3))),
      aux: hashText("shape"),
      cid: "bafylisting",
      meta: bytes(random.below(20)),
    };
    const broken = () =>
      random.pick<Partial<ListingArgument>>([
        { kind: 3 },
        { contentRoot: zeroHash },
        { cid: "" },
        { cid: "b".repeat(random.pick([128, 129])) },
        { meta: bytes(random.pick([4096, 4097])) },
        { price: right.price === 0n ? 1n : 0n },
        { bond: 1n, price: 0n, keyCommit: zeroHash },
        { bond: 1n << 100n },
        { token: zeroAddress },
      ]);
    return this.#call(agent.anybody(), "catalog", "list", { ...right, ...agent.mostly({}, broken, 0.8) });
  }

  #buy(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const id = this.#recent(world.catalog.listed);
    const { price } = world.catalog.listings.get(id);
    const max = agent.mostly(random.pick([price, price + 5n, MAX_PRICE]), () => (price > 0n ? price - 1n : 0n), 0.9);
    const [x, y] = agent.mostly(pointOf(BigInt(1 + random.below(50))), () =>
      random.pick([
        [0n, 0n],
        [1n, 3n],
      ] as const),
    );
    return this.#call(agent.anybody(), "catalog", "buy", id, max, x, y);
  }

  #change(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const id = this.#recent(world.catalog.listed);
    const { seller } = world.catalog.listings.get(id);
    const from = agent.mostly(seller, () => agent.anybody(), 0.85);
    if (random.chance(0.5)) return this.#call(from, "catalog", "deactivate", id);
    return this.#call(
      from,
      "catalog",
      "setPrice",
      id,
      agent.mostly(BigInt(1 + random.below(500)), () => 0n, 0.9),
    );
  }

  /** What an order waits for, or something else. */
  #serve(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const id = this.#recent(world.catalog.bought);
    const { state } = world.catalog.orders.get(id);
    const tick = () => this.#tick("catalog", id);
    const likely = state === Purchase.NEW ? () => this.#deliver(id) : () => this.#complain(id);
    if (random.chance(0.5)) return likely();
    return random.pick([tick, tick, () => this.#cancel(id), () => this.#deliver(id), () => this.#complain(id)])();
  }

  #tick(contract: "catalog" | "inferenceBoard", id: Hex): Call {
    return this.#call(this.#agent.anybody(), contract, "tick", id);
  }

  #cancel(id: Hex): Call {
    const agent = this.#agent;
    const { buyer } = agent.world.catalog.orders.get(id);
    const from = agent.mostly(buyer, () => agent.anybody(), 0.9);
    return this.#call(from, "catalog", "cancel", id);
  }

  #deliver(id: Hex): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const { listingId, B } = world.catalog.orders.get(id);
    const { seller, keyCommit } = world.catalog.listings.get(listingId);
    const r = BigInt(1 + random.below(50));
    const b = factorOf(...B) ?? 1n;
    const right = [0, 1, 2].map(key).find((one) => hashWords(one) === keyCommit) ?? key(0);
    const sealed = xorWords(random.chance(0.5) ? right : hashText("another key"), padOf(r * b));
    const [x, y] = agent.mostly(pointOf(r), () => [1n, 3n] as const);
    return this.#call(
      agent.mostly(seller, () => agent.anybody()),
      "catalog",
      "deliver",
      id,
      x,
      y,
      sealed,
    );
  }

  #complain(id: Hex): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const { buyer, B } = world.catalog.orders.get(id);
    const b = factorOf(...B) ?? 1n;
    const secret = agent.mostly(b, () => random.pick([b + 1n, 0n, b + CURVE_ORDER]), 0.9);
    return this.#call(
      agent.mostly(buyer, () => agent.anybody()),
      "catalog",
      "complain",
      id,
      secret,
    );
  }

  // InferenceBoard.

  #inference(): Call {
    const { random, world } = this.#agent;
    const { inference } = world;
    const roll = random.next();
    if (roll < 0.12 || inference.offered.length === 0) return this.#offer();
    if (roll < 0.45) return this.#request();
    if (roll < 0.5) return this.#changeOffer();
    const id = this.#recent(inference.requested);
    return random.chance(0.3) ? this.#tick("inferenceBoard", id) : this.#answer(id);
  }

  #offer(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const codehash = world.verifierRegistry.codehash(world.verifiers.plain);
    const right: OfferArgument = {
      modelId: hashText("model"),
      verifierId: verifierIdOf(verifierDescription(1, VerifierKind.INFER), codehash),
      outputTag: hashText("output"),
      token: world.tokens[random.chance(0.8) ? 0 : 1],
      price: BigInt(random.below(100)),
      maxLatency: 1 + random.below(60),
      meta: bytes(random.below(20)),
    };
    const broken = () =>
      random.pick<Partial<OfferArgument>>([
        { modelId: zeroHash },
        { verifierId: verifierIdOf(verifierDescription(1), codehash) },
        { verifierId: zeroHash },
        { maxLatency: 0 },
        { maxLatency: random.pick([604_800, 604_801]) },
        { token: zeroAddress },
        { meta: bytes(random.pick([4096, 4097])) },
      ]);
    const terms = { ...right, ...agent.mostly({}, broken, 0.8) };
    return this.#call(agent.anybody(), "inferenceBoard", "offer", terms);
  }

  #changeOffer(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const id = this.#recent(world.inference.offered);
    const from = agent.mostly(world.inference.offers.get(id).host, () => agent.anybody(), 0.85);
    if (random.chance(0.4)) return this.#call(from, "inferenceBoard", "close", id);
    return this.#call(from, "inferenceBoard", "setPrice", id, BigInt(random.below(100)));
  }

  #request(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const id = this.#recent(world.inference.offered);
    const { price } = world.inference.offers.get(id);
    const max = agent.mostly(price, () => (price > 0n ? price - 1n : MAX_PRICE), 0.9);
    const xId = agent.mostly(hashText("input"), () => zeroHash);
    const xRef = bytes(agent.mostly(random.below(9), () => random.pick([1024, 1025])));
    return this.#call(agent.anybody(), "inferenceBoard", "request", id, max, xId, xRef);
  }

  #answer(id: Hex): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const { inference } = world;
    const { offerId, xId } = inference.orders.get(id);
    const z = agent.mostly(bytes(32 * (1 + random.below(3))), () => bytes(random.pick([0, 1024, 1025])), 0.9);
    const { context, idOut } = inference.statement(
      agent.mostly(id, () => this.#recent(inference.requested), 0.9),
      z,
    );
    const proof = testProof(context, inference.offers.get(offerId).modelId, idOut, xId);
    return this.#call(
      agent.anybody(),
      "inferenceBoard",
      "answer",
      id,
      z,
      agent.mostly(proof, () => "0x" as const),
    );
  }
}
