import process from "node:process";

/** Whether there is a process of this number on this machine: its left-overs are not ours to remove. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
