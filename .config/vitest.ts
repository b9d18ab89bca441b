import { fileURLToPath } from "node:url";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));
const inNode = { environment: "node" } as const;

/** `policy`: pure code in plain Node. `workers`: in workerd. `demo`: the demo origin. `journeys`: the whole, by HTTP. */
export default defineConfig({
  root,
  test: {
    projects: [
      { root, test: { ...inNode, name: "policy", include: ["test/policy/**/*.test.ts", "test/config/**/*.test.ts"] } },
      {
        root,
        plugins: [cloudflareTest({ wrangler: { configPath: `${root}/wrangler.toml` } })],
        test: { name: "workers", include: ["test/edge/**/*.test.ts", "test/objects/**/*.test.ts"], isolate: false },
      },
      { root, test: { ...inNode, name: "demo", include: ["test/demo/**/*.test.ts"] } },
      {
        root,
        test: {
          ...inNode,
          name: "journeys",
          include: ["test/journeys/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
