const FIRST_BYTES = 256 * 1024;
const LEAST_BYTES = 32 * 1024;
/** yamux lets no more than this be under way on one stream. */
const MOST_BYTES = 4 * 1024 * 1024;
/** Time that bulk may add to the way of a control message on the same connection, milliseconds. */
const QUEUE_MS = 100;
const INTERVAL_MS = 50;
const INTERVALS = 16;

/** How many bytes may be under way from one peer. */
export interface InFlightWindow {
  readonly bytes: number;
  /** Bytes per second, as far as known. */
  readonly rate: number;
  /** Bytes came. */
  arrived(bytes: number, nowMs: number): void;
  /** Time from a request, sent while nothing else was under way, to the first byte of its answer, milliseconds. */
  answeredIn(ms: number): void;
  /** Nothing is under way any more. */
  idle(): void;
}

/**
 * As in TCP Vegas (Brakmo and Peterson 1995): the highest rate of late, times the shortest round trip and the queue
 * that we allow, so that a slow link never holds more than 100 ms of bulk and a fast one is still filled.
 */
export function createInFlightWindow(): InFlightWindow {
  let rates: number[] = [];
  let roundTripMs = Infinity;
  let startMs: number | undefined;
  let counted = 0;
  const rate = () => Math.max(0, ...rates);
  return {
    get bytes() {
      if (roundTripMs === Infinity || rates.length === 0) return FIRST_BYTES;
      const wanted = (rate() * (roundTripMs + QUEUE_MS)) / 1000;
      return Math.min(MOST_BYTES, Math.max(LEAST_BYTES, wanted));
    },
    get rate() {
      return rate();
    },
    arrived(bytes, nowMs) {
      // What came first says nothing about the time that it took.
      if (startMs === undefined) return void (startMs = nowMs);
      counted += bytes;
      const passedMs = nowMs - startMs;
      if (passedMs < INTERVAL_MS) return;
      rates = [...rates, (1000 * counted) / passedMs].slice(-INTERVALS);
      startMs = nowMs;
      counted = 0;
    },
    answeredIn(ms) {
      roundTripMs = Math.min(roundTripMs, Math.max(ms, 0.1));
    },
    idle() {
      startMs = undefined;
      counted = 0;
    },
  };
}
