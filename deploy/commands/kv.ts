/**
 * The gateway's KV documents from the command line, through wrangler: the local ones beside `npm start`, or, with
 * `--remote`, those of the deployed gateway.
 */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Documents by key. */
export interface KvDocuments {
  /** The text under `key`; null where there is none. */
  readonly get: (key: string) => Promise<string | null>;
  readonly put: (key: string, text: string) => Promise<void>;
  readonly delete: (key: string) => Promise<void>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const WRANGLER = fileURLToPath(new URL("../../node_modules/wrangler/bin/wrangler.js", import.meta.url));
/** What wrangler prints in place of a value; no document reads so, since it is no JSON. */
const NOT_FOUND = "Value not found";
const QUIET = { CI: "true", WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true" };

/**
 * The documents of one gateway. Each call rejects with wrangler's own words where it fails.
 *
 * @param stateDir of the local gateway, as `npm start` has it; empty: the default.
 */
export function kvDocuments(isRemote: boolean, stateDir: string): KvDocuments {
  const state = stateDir === "" ? resolve(ROOT, ".wrangler/state") : resolve(stateDir);
  const place = isRemote ? ["--remote"] : ["--local", "--persist-to", state];

  async function run(verb: string, ...rest: readonly string[]): Promise<string> {
    const args = [WRANGLER, "kv", "key", verb, ...rest, "--binding", "EDGE_KV", ...place];
    const options = { cwd: ROOT, env: { ...process.env, ...QUIET } };
    return (await promisify(execFile)(process.execPath, args, options)).stdout;
  }

  return {
    async get(key) {
      const text = (await run("get", key, "--text")).trim();
      return text === NOT_FOUND ? null : text;
    },
    put: async (key, text) => void (await run("put", key, text)),
    delete: async (key) => void (await run("delete", key)),
  };
}
