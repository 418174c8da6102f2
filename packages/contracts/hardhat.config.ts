import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const compiler = createRequire(import.meta.url).resolve("solc/soljson.js");

/** The compiler is the npm package of solc: nothing is downloaded. The bytecode has no metadata, so it is reproducible. */
export default defineConfig({
  solidity: {
    compilers: [
      {
        version: "0.8.37",
        path: compiler,
        settings: {
          evmVersion: "cancun",
          viaIR: true,
          optimizer: { enabled: true, runs: 200 },
          metadata: { bytecodeHash: "none", appendCBOR: false },
        },
      },
    ],
  },
  paths: { sources: "./solidity", artifacts: "./build/artifacts", cache: "./build/cache" },
});
