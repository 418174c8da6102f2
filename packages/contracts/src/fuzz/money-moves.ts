import { VerifierKind } from "@skynet/protocol";
import type { Hex, VerifierDescription } from "@skynet/protocol";
import { keccak256, toHex, zeroAddress, zeroHash } from "viem";
import type { Agent } from "./agent.ts";
import { registrationDigest } from "./registry-model.ts";
import type { ActionKind } from "./signed-actions.ts";
import { hashText, puppetSignature } from "./words.ts";
import type { Word } from "./words.ts";
import { everybody, people } from "./world.ts";
import type { Call, Party } from "./world.ts";

const LARGE = 1n << 121n;

/** Functions that can be signed instead of sent. */
const signedForms: Readonly<Record<string, ActionKind>> = {
  deposit: "Deposit",
  setCapabilities: "Capabilities",
  setPayout: "Payout",
  addStake: "Stake",
  beginUnstake: "Unstake",
  bumpEpoch: "Epoch",
};

/** Calls of the Ledger, the registries and the tokens. */
export class MoneyMoves {
  readonly #agent: Agent;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  next(): Call {
    const call = this.#direct();
    return this.#agent.random.chance(0.3) ? this.#signed(call) : call;
  }

  /** The same by a signature, where there is such a form; sent by anybody. */
  #signed(call: Call): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const kind = signedForms[call.name];
    if (kind === undefined || (call.contract !== "ledger" && call.contract !== "workerRegistry")) return call;
    const { actions } = call.contract === "ledger" ? world.ledger : world.registry;
    const nonce = agent.mostly(actions.nonces.get(call.from), () => BigInt(random.below(4)), 0.93);
    const expiry = BigInt(agent.mostly(agent.now + random.below(20), () => agent.now - 1));
    const by = { signer: call.from, nonce, expiry };
    const values = kind === "Capabilities" ? [keccak256(call.args[0] as Hex)] : (call.args as readonly Word[]);
    const signed = agent.mostly(values, () => [...values.slice(0, -1), agent.now]);
    const signer = agent.mostly(call.from, () => agent.anybody());
    const authorization = { ...by, signature: puppetSignature(signer, actions.digest(kind, by, ...signed)) };
    const permit = kind === "Deposit" ? [{ deadline: 0n, v: 0, r: zeroHash, s: zeroHash }] : [];
    return { ...call, from: agent.anybody(), name: `${call.name}For`, args: [...call.args, ...permit, authorization] };
  }

  #direct(): Call {
    const { random } = this.#agent;
    const roll = random.next();
    const unknown = people.workers.some(({ address }) => !this.#agent.world.registry.isRegistered(address));
    if (roll < (unknown ? 0.2 : 0.04)) return this.#register();
    if (roll < 0.45) return this.#addStake();
    if (roll < 0.6) return this.#ledger();
    if (roll < 0.75) return this.#deposit();
    if (roll < 0.9) return this.#worker();
    if (roll < 0.95) return this.#forbidden();
    return this.#verifier();
  }

  #token(): Hex {
    const { random, world } = this.#agent;
    return world.tokens[random.chance(0.8) ? 0 : 1];
  }

  #amount(available: bigint): bigint {
    const { random } = this.#agent;
    const some = (available * BigInt(1 + random.below(100))) / 100n;
    return this.#agent.mostly(some, () => random.pick([0n, available, available + 1n, LARGE]), 0.85);
  }

  #deposit(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const [token, from] = [this.#token(), agent.anybody()];
    const own = world.token.balances.get(token, from);
    if (random.chance(0.03)) {
      const allowance = random.pick([0n, 1_000n, (1n << 256n) - 1n]);
      return world.tokenCall(from, token, "approve", world.env.addresses.ledger, allowance);
    }
    // sent without a deposit, it belongs to nobody
    if (random.chance(0.05))
      return world.tokenCall(from, token, "transfer", world.env.addresses.ledger, BigInt(random.below(50)));
    const to = agent.mostly(from, () => agent.anybody(), 0.8);
    const amount = this.#amount(own / 10n);
    if (random.chance(0.9)) return world.call(from, "ledger", "deposit", token, to, amount);
    const signature = [BigInt(agent.now + 100), 27, hashText("r"), hashText("s")];
    return world.call(from, "ledger", "depositWithPermit", token, to, amount, ...signature);
  }

  #ledger(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const [token, from] = [this.#token(), agent.anybody()];
    if (random.chance(0.1)) return world.call(agent.anybody(), "ledger", "withdrawFor", token, from);
    const amount = this.#amount(world.ledger.of(token, from) / 50n);
    const to = agent.mostly(from, () => random.pick([agent.anybody(), zeroAddress]), 0.8);
    return world.call(from, "ledger", "withdraw", token, to, amount);
  }

  /** Public key, payout address and description of a worker. */
  #register(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const free = people.workers.filter(({ address }) => !world.registry.isRegistered(address));
    const worker = random.pick(free.length > 0 && random.chance(0.9) ? free : people.workers);
    const index = people.workers.indexOf(worker);
    const own = index === people.workers.length - 1 ? people.requesters[0]! : people.payouts[index]!;
    const payout = agent.mostly(own.address, () => random.pick([zeroAddress, agent.anybody()]));
    const capabilities = toHex(new Uint8Array(agent.mostly(random.below(40), () => random.pick([1024, 1025]), 0.95)));
    const key = agent.mostly(worker.publicKey, () =>
      random.pick<Hex>([random.pick(everybody).publicKey, "0x", `${worker.publicKey}00`]),
    );
    if (random.chance(0.5)) {
      const from = agent.mostly(worker.address, () => agent.anybody());
      return world.call(from, "workerRegistry", "register", key, payout, capabilities);
    }
    const signed = agent.mostly(payout, () => agent.anybody());
    const digest = registrationDigest(world.env, worker.address, signed, capabilities);
    const signature = puppetSignature(worker.address, digest);
    return world.call(agent.anybody(), "workerRegistry", "registerFor", key, payout, capabilities, signature);
  }

  #addStake(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const token = this.#token();
    const worker = random.pick(people.workers).address;
    const from = agent.mostly(worker, () => agent.anybody(), 0.9);
    const amount = this.#amount(world.ledger.of(token, from) / 2n);
    const target = agent.mostly(worker, () => agent.anybody());
    return world.call(from, "workerRegistry", "addStake", token, target, amount < LARGE ? amount : LARGE - 1n);
  }

  #worker(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const token = this.#token();
    const worker = random.pick(people.workers).address;
    const { payout } = world.registry.workers.get(worker);
    const owner = agent.mostly(random.pick([worker, payout]), () => agent.anybody());
    const sender = owner === zeroAddress ? worker : owner;
    const { free } = world.registry.stakes.get(worker, token);
    const to = agent.mostly(this.#payoutOf(worker), () => random.pick([zeroAddress, agent.anybody()]), 0.8);
    return random.pick([
      () => world.call(sender, "workerRegistry", "beginUnstake", token, worker, this.#amount(free / 10n)),
      () => world.call(agent.anybody(), "workerRegistry", "finishUnstake", token, worker),
      () => world.call(sender, "workerRegistry", "bumpEpoch", worker),
      () => world.call(sender, "workerRegistry", "setPayout", worker, to),
      () => {
        const length = agent.mostly(random.below(30), () => random.pick([1024, 1025]), 0.9);
        return world.call(worker, "workerRegistry", "setCapabilities", toHex(new Uint8Array(length)));
      },
    ])();
  }

  #payoutOf(worker: Hex): Hex {
    const own: Party = people.payouts[people.workers.findIndex(({ address }) => address === worker)]!;
    return own.address;
  }

  /** What only contracts of SkyNet may do. */
  #forbidden(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const [token, from, victim] = [this.#token(), agent.anybody(), agent.anybody()];
    const job = agent.anyJob() ?? zeroHash;
    return random.pick([
      () => world.call(from, "ledger", "move", token, job, zeroHash, 1n),
      () => world.call(from, "ledger", "pull", token, victim, job, 1n),
      () => world.call(from, "workerRegistry", "lock", job, victim, token, 1n),
      () => world.call(from, "workerRegistry", "unlock", job, victim, token, 1n),
      () => world.call(from, "workerRegistry", "slash", job, token, [victim], [1n], true),
      () => world.call(from, "workerRegistry", "recordPaid", victim, 1),
      () => world.call(from, "workerRegistry", "recordProof", victim),
    ])();
  }

  #verifier(): Call {
    const agent = this.#agent;
    const { random, world } = agent;
    const description: VerifierDescription = {
      kind: random.pick([VerifierKind.STEP, VerifierKind.INFER, 0, 3]),
      circuitHash: hashText(`circuit ${random.below(5)}`),
      srsHash: hashText("reference string"),
      weightsTag: hashText("layout"),
      weightBlocks: random.pick([1, 2, 400, 0]),
    };
    const { plain, delegated, short } = world.verifiers;
    const verifier = random.pick([plain, plain, plain, delegated, short, zeroAddress]);
    return world.call(agent.anybody(), "verifierRegistry", "register", description, verifier, "");
  }
}
