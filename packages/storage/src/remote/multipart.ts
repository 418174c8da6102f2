/** Bytes handed to the socket at once; progress moves in these steps. */
const SLICE = 64 * 1024;

/** One file as multipart/form-data (RFC 7578), with a known length, that tells how far it was sent. */
export interface Multipart {
  readonly headers: Record<string, string>;
  readonly body: (moved: (bytes: number) => void) => ReadableStream<Uint8Array>;
}

/** @param boundary random, so that it is not in the content */
export function multipart(name: string, content: Uint8Array, boundary: string): Multipart {
  const text = new TextEncoder();
  const disposition = `form-data; name="file"; filename="${encodeURIComponent(name)}"`;
  const head = text.encode(
    `--${boundary}\r\nContent-Disposition: ${disposition}\r\nContent-Type: application/octet-stream\r\n\r\n`,
  );
  const tail = text.encode(`\r\n--${boundary}--\r\n`);
  return {
    headers: {
      "content-type": `multipart/form-data; boundary=${boundary}`,
      "content-length": String(head.length + content.length + tail.length),
    },
    body: (moved) => {
      const slices = slicesOf(head, content, tail);
      return new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            const { value, done } = slices.next();
            if (done) return controller.close();
            controller.enqueue(value);
            moved(value.length);
          },
        },
        { highWaterMark: 0 },
      );
    },
  };
}

function* slicesOf(head: Uint8Array, content: Uint8Array, tail: Uint8Array): Generator<Uint8Array, undefined> {
  yield head;
  for (let at = 0; at < content.length; at += SLICE) yield content.subarray(at, at + SLICE);
  yield tail;
  return undefined;
}
