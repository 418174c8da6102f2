// STUN Binding (RFC 8489) as far as mapped addresses need it: no authentication, no other methods.

const HEADER_BYTES = 20;
const COOKIE = 0x2112a442;
const BINDING = { request: 0x0001, success: 0x0101, error: 0x0111 } as const;
const ATTRIBUTE = { mapped: 0x0001, errorCode: 0x0009, unknown: 0x000a, xorMapped: 0x0020 } as const;
/** Attributes that a client may send and a server must know: of authentication, ICE and TURN. We need none of them. */
const KNOWN = new Set([0x0001, 0x0006, 0x0008, 0x0014, 0x0015, 0x001e, 0x0020, 0x0024, 0x0025]);
const FAMILY = { 4: 1, 6: 2 } as const;

/** An IP address and a UDP port. */
export interface UdpAddress {
  readonly host: string;
  readonly port: number;
}

/** A request for the address that it comes from. @param transactionId 12 random bytes */
export function bindingRequest(transactionId: Uint8Array): Uint8Array {
  return message(BINDING.request, transactionId, []);
}

/** The transaction of a well-formed request, and the attributes in it that must be understood but are not. */
export function parseBindingRequest(bytes: Uint8Array): { transactionId: Uint8Array; unknown: number[] } | undefined {
  const parsed = parse(bytes);
  if (parsed?.type !== BINDING.request) return undefined;
  const unknown = parsed.attributes.map(({ type }) => type).filter((type) => type < 0x8000 && !KNOWN.has(type));
  return { transactionId: parsed.transactionId, unknown: [...new Set(unknown)].slice(0, 4) };
}

/** What the server answers: where the request came from. */
export function bindingSuccess(transactionId: Uint8Array, from: UdpAddress): Uint8Array {
  const ip = ipBytes(from.host);
  const value = new Uint8Array(4 + ip.length);
  const view = new DataView(value.buffer);
  value[1] = ip.length === 4 ? FAMILY[4] : FAMILY[6];
  view.setUint16(2, from.port ^ (COOKIE >>> 16));
  value.set(xored(ip, transactionId), 4);
  return message(BINDING.success, transactionId, [{ type: ATTRIBUTE.xorMapped, value }]);
}

/** Error 420, "unknown attribute". */
export function bindingError(transactionId: Uint8Array, unknown: readonly number[]): Uint8Array {
  const types = new Uint8Array(2 * unknown.length);
  unknown.forEach((type, i) => new DataView(types.buffer).setUint16(2 * i, type));
  return message(BINDING.error, transactionId, [
    { type: ATTRIBUTE.errorCode, value: Uint8Array.of(0, 0, 4, 20) },
    { type: ATTRIBUTE.unknown, value: types },
  ]);
}

/** The address in an answer to this transaction; undefined for anything else. */
export function parseBindingSuccess(bytes: Uint8Array, transactionId: Uint8Array): UdpAddress | undefined {
  const parsed = parse(bytes);
  if (parsed?.type !== BINDING.success || parsed.transactionId.some((byte, i) => byte !== transactionId[i]))
    return undefined;
  const { value } = parsed.attributes.find(({ type }) => type === ATTRIBUTE.xorMapped) ?? {};
  if (value === undefined || value.length !== (value[1] === FAMILY[6] ? 20 : 8)) return undefined;
  const port = new DataView(value.buffer, value.byteOffset).getUint16(2) ^ (COOKIE >>> 16);
  return { host: ipText(xored(value.subarray(4), transactionId)), port };
}

interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

function message(type: number, transactionId: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  const padded = attributes.map(({ value }) => 4 * Math.ceil(value.length / 4));
  const length = padded.reduce((sum, size) => sum + 4 + size, 0);
  const bytes = new Uint8Array(HEADER_BYTES + length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type);
  view.setUint16(2, length);
  view.setUint32(4, COOKIE);
  bytes.set(transactionId, 8);
  let at = HEADER_BYTES;
  attributes.forEach((attribute, i) => {
    view.setUint16(at, attribute.type);
    view.setUint16(at + 2, attribute.value.length);
    bytes.set(attribute.value, at + 4);
    at += 4 + padded[i]!;
  });
  return bytes;
}

function parse(bytes: Uint8Array): { type: number; transactionId: Uint8Array; attributes: Attribute[] } | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(2);
  if (view.getUint32(4) !== COOKIE || length % 4 !== 0 || HEADER_BYTES + length !== bytes.length) return undefined;
  const attributes: Attribute[] = [];
  for (let at = HEADER_BYTES; at < bytes.length;) {
    const size = view.getUint16(at + 2);
    if (at + 4 + size > bytes.length) return undefined;
    attributes.push({ type: view.getUint16(at), value: bytes.slice(at + 4, at + 4 + size) });
    at += 4 + 4 * Math.ceil(size / 4);
  }
  return { type: view.getUint16(0), transactionId: bytes.slice(8, HEADER_BYTES), attributes };
}

/** With the cookie, for IPv6 also the transaction. */
function xored(ip: Uint8Array, transactionId: Uint8Array): Uint8Array {
  const mask = new Uint8Array(16);
  new DataView(mask.buffer).setUint32(0, COOKIE);
  mask.set(transactionId, 4);
  return ip.map((byte, i) => byte ^ mask[i]!);
}

/** @param host as a socket gives it: decimal IPv4, or IPv6 with at most one `::` and no zone */
function ipBytes(host: string): Uint8Array {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  if (v4 !== undefined) return Uint8Array.from(v4.split("."), Number);
  const [head = "", tail] = host.replace(/%.*$/, "").split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [left, right] = [groups(head), groups(tail ?? "")];
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
