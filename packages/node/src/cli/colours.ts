import process from "node:process";
import picocolors from "picocolors";

/** Colours only for people: not in files and pipes, not with NO_COLOR or a dumb terminal. */
export const colours = picocolors.createColors(
  process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb",
);
