// A process that uploads one file and may be killed at any moment: testing-upload-child.ts SERVICE FILE STATE PART [RECIPIENT]
import process from "node:process";
import { createLighthouse } from "./lighthouse.ts";
import { TEST_KEY } from "./testing-service.ts";
import { uploadFile } from "./upload.ts";

const [url, file, stateDir, partBytes, recipient] = process.argv.slice(2) as [string, string, string, string, string?];
const { target } = createLighthouse({ apiKey: TEST_KEY, apiBase: url, uploadBase: url, http: { backoffMs: 1 } });
const recipients = recipient === undefined ? undefined : [recipient];
const uploaded = await uploadFile({ file, stateDir, target, partBytes: Number(partBytes), recipients });
process.stdout.write(JSON.stringify(uploaded));
