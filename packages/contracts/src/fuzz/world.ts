import type { Hex } from "@skynet/protocol";
import { encodeErrorResult, encodeFunctionData, keccak256 } from "viem";
import type { Abi } from "viem";
import * as TestToken from "../../generated/TestToken.ts";
import * as TestVerifier from "../../generated/TestVerifier.ts";
import {
  catalogAbi,
  errorsAbi,
  inferenceBoardAbi,
  jobBoardAbi,
  ledgerAbi,
  relayRegistryAbi,
  tokenAbi,
  verifierRegistryAbi,
  workerRegistryAbi,
} from "../chain/abi.ts";
import { skynetAddresses } from "../deployment/addresses.ts";
import { BoardModel } from "./board-model.ts";
import { CatalogModel } from "./catalog-model.ts";
import { Environment } from "./environment.ts";
import type { Evm, ExpectedCall } from "./evm.ts";
import { InferenceModel } from "./inference-model.ts";
import { Journal, Table } from "./journal.ts";
import type { Question, Refusal } from "./journal.ts";
import { LedgerModel, TokenModel } from "./ledger-model.ts";
import { RelayModel } from "./relay-model.ts";
import { RegistryModel } from "./registry-model.ts";
import { VerifierModel } from "./verifier-model.ts";
import { hashText } from "./words.ts";

/** One call as the fuzzer means it; `args` are those of the contract's function. */
export interface Call {
  readonly from: Hex;
  readonly contract: ContractName;
  /** Differs from the contract's address only for tokens. */
  readonly to: Hex;
  readonly name: string;
  readonly args: readonly unknown[];
  /** Wei that go with it. */
  readonly value?: bigint;
}

export type ContractName =
  | "token"
  | "ledger"
  | "workerRegistry"
  | "verifierRegistry"
  | "jobBoard"
  | "catalog"
  | "inferenceBoard"
  | "relayRegistry";

type Handlers = Readonly<Record<string, (from: Hex, ...args: never[]) => void>>;

const abis: Readonly<Record<ContractName, Abi>> = {
  token: tokenAbi,
  ledger: ledgerAbi,
  workerRegistry: workerRegistryAbi,
  verifierRegistry: verifierRegistryAbi,
  jobBoard: jobBoardAbi,
  catalog: catalogAbi,
  inferenceBoard: inferenceBoardAbi,
  relayRegistry: relayRegistryAbi,
};

/** One account of the fuzz tests. Workers have the bytes that their address is the hash of. */
export interface Party {
  readonly address: Hex;
  readonly publicKey: Hex;
}

function party(name: string): Party {
  const publicKey: Hex = `0x${hashText(name).slice(2)}${hashText(`${name} `).slice(2)}`;
  return { publicKey, address: `0x${keccak256(publicKey).slice(26)}` };
}

const parties = (name: string, count: number) => Array.from({ length: count }, (_, index) => party(`${name} ${index}`));

export const people = {
  requesters: parties("requester", 3),
  workers: parties("worker", 9),
  /** Payout address of the worker with the same index; the last worker names a requester. */
  payouts: parties("payout", 9),
  strangers: parties("stranger", 2),
  admitter: party("admitter"),
};

export const everybody: readonly Party[] = Object.values(people).flat();

/** Where the verifiers of the tests are. */
export interface TestVerifiers {
  readonly plain: Hex;
  /** An EIP-7702 account. */
  readonly delegated: Hex;
  /** Too short to be a verifier. */
  readonly short: Hex;
}

/** The model of all contracts, and how its calls are written for the chain. */
export class World {
  readonly env: Environment;
  readonly journal = new Journal();
  readonly tokens: readonly [Hex, Hex];
  readonly verifiers: TestVerifiers;
  readonly token: TokenModel;
  readonly ledger: LedgerModel;
  readonly registry: RegistryModel;
  readonly verifierRegistry: VerifierModel;
  readonly board: BoardModel;
  readonly catalog: CatalogModel;
  readonly inference: InferenceModel;
  readonly relays: RelayModel;

  constructor(env: Environment, tokens: readonly [Hex, Hex], verifiers: TestVerifiers) {
    this.env = env;
    this.tokens = tokens;
    this.verifiers = verifiers;
    const { journal } = this;
    this.token = new TokenModel(env, journal);
    this.ledger = new LedgerModel(env, journal, this.token);
    this.registry = new RegistryModel(env, journal, this.ledger);
    this.verifierRegistry = new VerifierModel(env, journal);
    const modules = { env, journal, ledger: this.ledger, registry: this.registry, verifiers: this.verifierRegistry };
    this.board = new BoardModel(modules);
    this.catalog = new CatalogModel(env, journal, this.ledger);
    this.inference = new InferenceModel(env, journal, this.ledger, this.verifierRegistry);
    this.relays = new RelayModel(env, journal);
  }

  call(from: Hex, contract: Exclude<ContractName, "token">, name: string, ...args: readonly unknown[]): Call {
    return { from, contract, to: this.env.addresses[contract], name, args };
  }

  tokenCall(from: Hex, token: Hex, name: string, ...args: readonly unknown[]): Call {
    return { from, contract: "token", to: token, name, args };
  }

  #handlers({ contract, to, value = 0n }: Call): Handlers {
    const { token, relays } = this;
    const relayCalls: Handlers = {
      announce: (from, publicKey: Hex, multiaddrs: string, lifetime: bigint) =>
        relays.announce(from, value, publicKey, multiaddrs, lifetime),
      ...relays.calls,
    };
    const tokenCalls: Handlers = {
      mint: (_, owner: Hex, amount: bigint) => token.mint(to, owner, amount),
      approve: (from, _ledger: Hex, amount: bigint) => token.approve(to, from, amount),
      transfer: (from, owner: Hex, amount: bigint) => token.transfer(to, from, owner, amount),
    };
    const all: Readonly<Record<ContractName, Handlers>> = {
      token: tokenCalls,
      ledger: this.ledger.calls,
      workerRegistry: this.registry.calls,
      verifierRegistry: this.verifierRegistry.calls,
      jobBoard: this.board.calls,
      catalog: this.catalog.calls,
      inferenceBoard: this.inference.calls,
      relayRegistry: relayCalls,
    };
    return all[contract];
  }

  /** Plays the call in the model; the refusal, if the rules refuse it. */
  play(call: Call): Refusal | undefined {
    const handler = this.#handlers(call)[call.name];
    if (handler === undefined) throw new Error(`the model knows no ${call.contract}.${call.name}`);
    return this.journal.attempt(() => handler(call.from, ...(call.args as never[])));
  }

  /** The call as the chain gets it, with what the model expects. */
  encode(call: Call, refusal: Refusal | undefined): ExpectedCall {
    const data = encodeFunctionData({ abi: abis[call.contract], functionName: call.name, args: call.args });
    const value = call.value === undefined ? {} : { value: call.value };
    const base = { from: call.from, to: call.to, data, ...value };
    if (refusal === undefined) return { ...base, success: true };
    return { ...base, success: false, answer: reasonOf(refusal) };
  }

  /** Questions about everything that has changed since the last time. */
  checks(): ExpectedCall[] {
    return this.journal.takeQuestions().map(ask);
  }

  /** Questions about all cells of the model. */
  allChecks(): ExpectedCall[] {
    const { token, ledger, registry, verifierRegistry, board, catalog, inference, relays } = this;
    const money = [token, ledger, ledger.actions, registry, registry.actions, verifierRegistry];
    const models = [...money, board.state, catalog, inference, relays];
    const tables = models.flatMap((model) => Object.values(model)).filter((field) => field instanceof Table);
    return tables.flatMap((table: Table<unknown>) => table.allQuestions()).map(ask);
  }
}

const reasons = new Map<string, Hex>();

/** What a contract reverts with. */
function reasonOf({ name, values, message }: Refusal): Hex {
  let reason = reasons.get(message);
  if (reason === undefined) {
    reason = encodeErrorResult({ abi: errorsAbi, errorName: name, args: values });
    reasons.set(message, reason);
  }
  return reason;
}

const ask = ({ to, data, answer, about }: Question): ExpectedCall => ({
  from: people.strangers[0]!.address,
  to,
  data,
  success: true,
  answer,
  about,
});

/** Puts the people, two tokens and the verifiers on a fresh chain; the function makes a new model of it. */
export async function furnish(evm: Evm): Promise<() => World> {
  const second = await evm.create(TestToken.bytecode);
  const plain = await evm.create(TestVerifier.bytecode);
  const delegated = `0x${"d7".repeat(20)}` as const;
  const short = `0x${"d8".repeat(20)}` as const;
  const shortCode = `0x${"00".repeat(23)}` as const;
  await evm.request("anvil_setCode", [delegated, `0xef0100${plain.slice(2)}`]);
  await evm.request("anvil_setCode", [short, shortCode]);
  for (const { address } of everybody) await evm.addPuppet(address);
  const addresses = skynetAddresses();
  const latest = await evm.latest();
  const plainCode = (await evm.request("eth_getCode", [plain, "latest"])) as Hex;
  return () => {
    const env = new Environment(addresses, latest);
    for (const address of [second, plain, short]) env.addContract(address);
    for (const { address } of everybody) env.addContract(address);
    const world = new World(env, [addresses.testToken, second], { plain, delegated, short });
    world.verifierRegistry.addCode(plain, plainCode);
    world.verifierRegistry.addCode(short, shortCode);
    return world;
  };
}
