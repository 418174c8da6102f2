import process from "node:process";

/**
 * Signal that aborts on Ctrl-C, SIGTERM, or when the parent that started this process is gone. A second Ctrl-C ends the
 * process at once.
 */
export function shutdownSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (reason: string) => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Interrupted(reason));
  };
  process.on("SIGINT", () => stop("SIGINT"));
  process.on("SIGTERM", () => stop("SIGTERM"));
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
