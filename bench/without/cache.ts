/** Takes the place of `src/edge/serve.ts` in a gateway without the edge cache: every request goes to the origin as it is. */
import type { Serving } from "../../src/edge/serve.ts";

/** A cache that is none. */
export function createServing(): Serving {
  return {
    async serve({ send }) {
      const forwarded = await send({ isShared: false, validators: null });
      return "response" in forwarded ? { response: forwarded.response, isCached: false } : forwarded;
    },
    standIn: async () => null,
  };
}
