/**
 * The backend of the benchmark: a small JSON answer, at once.
 */

const ANSWER = JSON.stringify({ status: "ok", items: [1, 2, 3], note: "a small answer of an ordinary origin" });

export default {
  fetch(): Response {
    return new Response(ANSWER, { headers: { "Content-Type": "application/json" } });
  },
} satisfies ExportedHandler;
