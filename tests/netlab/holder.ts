// Opens a lab with one process in it and waits to be killed; for lab.test.ts.
import { openLab } from "./lab.ts";

const lab = await openLab({ hosts: { one: {}, two: {} } });
const inside = lab.spawn("one", ["sleep", "1000"], { stdio: "ignore" });
process.send!({ lab: lab.pid, inside: inside.pid });
