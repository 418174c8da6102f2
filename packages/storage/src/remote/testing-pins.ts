import { json, type TestAnswer, type TestRequest } from "./testing-service.ts";

/** A pin as the specification of pinning services describes it. */
export interface TestPin {
  requestid: string;
  status: string;
  created: string;
  pin: { cid: string; name?: string; origins?: string[] };
  delegates: string[];
  info: Record<string, string>;
}

/** What becomes of a pin after each question for it. */
const NEXT: Record<string, string> = { queued: "pinning", pinning: "pinned" };
const failure = (status: number, reason: string, details: string) => json({ error: { reason, details } }, status);

export function answerPins(pins: TestPin[], request: TestRequest): TestAnswer {
  const { method, path } = request;
  if (path === "/pins") return method === "POST" ? add(pins, request) : list(pins, request);
  const id = decodeURIComponent(path.slice("/pins/".length));
  const at = pins.findIndex(({ requestid }) => requestid === id);
  const pin = pins[at];
  if (pin === undefined) return failure(404, "NOT_FOUND", "The specified resource was not found");
  if (method === "DELETE") {
    pins.splice(at, 1);
    return { status: 202, body: "" };
  }
  if (method === "POST") {
    pins.splice(at, 1);
    return add(pins, request);
  }
  const answer = json(pin);
  if (pin.pin.name === "cannot be found" && pin.status === "pinning")
    Object.assign(pin, { status: "failed", info: { status_details: "no provider was found" } });
  else pin.status = NEXT[pin.status] ?? pin.status;
  return answer;
}

let made = 0;

function add(pins: TestPin[], { body }: TestRequest): TestAnswer {
  const pin = JSON.parse(body.toString()) as TestPin["pin"];
  if (pin.name === "too large")
    return failure(409, "INSUFFICIENT_FUNDS", "Unable to process request due to the lack of funds");
  made++;
  const created: TestPin = {
    requestid: `pin/${made}`,
    status: "queued",
    created: new Date(1_700_000_000_000 + made).toISOString(),
    pin,
    delegates: ["/ip4/203.0.113.1/tcp/4001/p2p/QmServicePeerId"],
    info: { status_details: "Queue position: 7 of 9", dag_size: "1234" },
  };
  pins.push(created);
  return json(created, 202);
}

function list(pins: TestPin[], { query }: TestRequest): TestAnswer {
  const cids = query.get("cid")?.split(",");
  const status = (query.get("status") ?? "pinned").split(",");
  const before = query.get("before");
  const limit = Math.min(2, Number(query.get("limit") ?? "10"));
  const matching = pins
    .filter((pin) => cids === undefined || cids.includes(pin.pin.cid))
    .filter((pin) => query.get("name") === null || pin.pin.name === query.get("name"))
    .filter((pin) => status.includes(pin.status) && (before === null || pin.created < before))
    .sort((a, b) => (a.created < b.created ? 1 : -1));
  return json({ count: matching.length, results: matching.slice(0, limit) });
}
