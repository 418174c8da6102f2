const WINDOW = 16;
/** Windows with fewer different bytes are zeros, small numbers and padding, which appear everywhere. */
const LEAST_DISTINCT = 7;

const telling = (window: string): boolean => new Set(window).size >= LEAST_DISTINCT;

/** Finds any 16 bytes in a row of secrets, as they are, and as text in hexadecimal or base64. */
export interface SecretWindows {
  /** Remembers the secret under a name. */
  add(name: string, secret: Uint8Array): void;
  /** Names of the secrets of which a window was seen, with the form in which it was. */
  findIn(bytes: Uint8Array): Set<string>;
  /** How many windows of each name are searched for. */
  counts(): Record<string, number>;
}

export function createSecretWindows(): SecretWindows {
  const names = new Map<string, string>();
  const counts: Record<string, number> = {};
  // Three bytes that begin a window: most places of what is searched need no look at the map.
  const beginnings = new Uint8Array(2 ** 24);
  const beginning = (text: string, i: number) =>
    (text.charCodeAt(i) << 16) | (text.charCodeAt(i + 1) << 8) | text.charCodeAt(i + 2);
  const remember = (name: string, text: string) => {
    for (let i = 0; i + WINDOW <= text.length; i++) {
      const window = text.slice(i, i + WINDOW);
      if (telling(window) && !names.has(window)) {
        names.set(window, name);
        beginnings[beginning(window, 0)] = 1;
        counts[name] = (counts[name] ?? 0) + 1;
      }
    }
  };
  return {
    add(name, secret) {
      const bytes = Buffer.from(secret);
      remember(name, bytes.toString("latin1"));
      const hex = bytes.toString("hex");
      remember(`${name} (hex)`, hex);
      remember(`${name} (hex)`, hex.toUpperCase());
      // The text depends on where in its three bytes the secret begins; the ends depend on what is around it.
      for (let skip = 0; skip < 3; skip++) {
        const whole = bytes.subarray(skip, bytes.length - ((bytes.length - skip) % 3));
        remember(`${name} (base64)`, whole.toString("base64"));
        remember(`${name} (base64)`, whole.toString("base64url"));
      }
    },
    findIn(bytes) {
      const found = new Set<string>();
      const text = Buffer.from(bytes).toString("latin1");
      for (let i = 0; i + WINDOW <= text.length; i++) {
        const name = beginnings[beginning(text, i)] ? names.get(text.slice(i, i + WINDOW)) : undefined;
        if (name !== undefined) found.add(name);
      }
      return found;
    },
    counts: () => ({ ...counts }),
  };
}
