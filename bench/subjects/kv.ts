/**
 * A KV namespace for bare workerd that holds one fixed set of documents.
 *
 * workerd turns each operation on a KV binding into an HTTP request to a service: this one. It answers reads of one key
 * (`GET /key?...`) and of many (`POST /bulk/get`), takes a write without keeping it, and knows nothing else.
 */

interface Env {
  /** The documents: text under each key. */
  readonly DOCUMENTS: Readonly<Record<string, string>>;
}

interface BulkGet {
  readonly keys: readonly string[];
}

export default {
  async fetch(request, { DOCUMENTS }): Promise<Response> {
    if (request.method === "PUT") {
      // A body that nobody reads ends the connection, which the writer takes for a failure.
      await request.arrayBuffer();
      return new Response();
    }
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === "POST" && pathname === "/bulk/get") {
      const { keys } = (await request.json()) as BulkGet;
      return Response.json(Object.fromEntries(keys.map((key) => [key, DOCUMENTS[key] ?? null])));
    }
    const written = pathname.slice(1);
    const key = searchParams.get("urlencoded") === "true" ? decodeURIComponent(written) : written;
    const text = DOCUMENTS[key];
    return text === undefined ? new Response("Not Found", { status: 404 }) : new Response(text);
  },
} satisfies ExportedHandler<Env>;
