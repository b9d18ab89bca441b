import { fileURLToPath } from "node:url";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Far beyond what any test takes: a slow machine must not fail one. */
const patient = { testTimeout: 180_000, hookTimeout: 180_000 };

/**
 * `policy`: pure code in plain Node. `workers`: in workerd. `demo`: the demo origin. `deploy`: what ships for other
 * people's tools, read by those tools. `journeys`: the whole, by HTTP. `fleet`: many isolates on one set of counters.
 */
export default defineConfig({
  root,
  test: {
    // Whole titles: a row is named by its value.
    taskTitleValueFormatTruncate: 0,
    projects: [
      inNode("policy", ["test/policy/**/*.test.ts", "test/config/**/*.test.ts"]),
      {
        root,
        plugins: [cloudflareTest({ wrangler: { configPath: `${root}/wrangler.toml` } })],
        test: {
          ...patient,
          name: "workers",
          include: ["test/edge/**/*.test.ts", "test/objects/**/*.test.ts", "test/operate/**/*.test.ts"],
          isolate: false,
        },
      },
      inNode("demo", ["test/demo/**/*.test.ts"]),
      inNode("deploy", ["test/deploy/**/*.test.ts"]),
      inNode("journeys", ["test/journeys/**/*.test.ts"], { fileParallelism: false }),
      inNode("fleet", ["test/fleet/**/*.test.ts"], { fileParallelism: false }),
    ],
  },
});

function inNode(name: string, include: string[], more: { fileParallelism?: boolean } = {}) {
  return { root, test: { ...patient, ...more, environment: "node" as const, name, include } };
}
