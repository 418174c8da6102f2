import path from "node:path";
import process from "node:process";

/** Folder for everything that SkyNet keeps on this machine. */
export const homeDir = (): string => path.resolve(process.env.SKYNET_HOME ?? ".skynet");

/** Data folders in which this user's files may be. */
export const ownFolders = (): string[] => ["host", "requester", "buyer"].map((name) => path.join(homeDir(), name));
