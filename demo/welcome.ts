/** What `npm start` says when the gateway is ready: where it is, and three things to try. */
import type { StartSettings } from "./settings.ts";

/** Both addresses, and commands that can be pasted into a shell as they are. */
export function welcome({ port, originUrl, stateDir }: StartSettings): string {
  const gateway = `http://127.0.0.1:${port}`;
  const chat = `-X POST ${gateway}/api/ai/chat -H 'Content-Type: application/json' -d '{"message":"hello"}'`;
  const pin = `npx wrangler kv key put --local --binding EDGE_KV load-pin '{"load":0.65}' --persist-to ${quoted(stateDir)}`;
  return `
gateway  ${gateway}
origin   ${originUrl}

Try one request and its RateLimit fields:
  curl -i ${chat}

The limit is 50 a minute, so the 51st is refused:
  for i in $(seq 51); do curl -s -o /dev/null -w '%{http_code}\\n' ${chat}; done

Say that load is high, and the limit is 20 (delete the key to go back):
  ${pin}
  sleep 3; curl -i ${chat}

Ctrl-C ends it.
`;
}

/** One word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
