import process from "node:process";

/** A terminal and a launcher may both pass on the same Ctrl-C. */
const SAME_SIGNAL_MS = 1000;

let interrupted = false;

/** Whether the user, or the end of the parent, has asked this process to stop: errors that follow are no failures. */
export const wasInterrupted = (): boolean => interrupted;

/**
 * Signal that aborts on Ctrl-C, SIGTERM, or when the parent that started this process is gone. Another Ctrl-C later
 * ends the process at once.
 * @param onHangup what SIGHUP means to a service without a terminal: read the files again. Default: stop, as at the end
 *   of a terminal
 */
export function shutdownSignal(onHangup?: () => void): AbortSignal {
  const controller = new AbortController();
  let firstMs = 0;
  const stop = (reason: string) => {
    if (controller.signal.aborted) {
      if (reason === "SIGINT" && Date.now() - firstMs > SAME_SIGNAL_MS) process.exit(130);
      return;
    }
    firstMs = Date.now();
    interrupted = true;
    controller.abort(new Interrupted(reason));
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop(name));
  process.on("SIGHUP", () => (onHangup && !process.stdout.isTTY ? onHangup() : stop("SIGHUP")));
  if (process.channel) {
    process.channel.unref();
    process.on("disconnect", () => stop("the parent process has ended"));
  }
  return controller.signal;
}

/** Reason of an abort that the user asked for. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}
