/**
 * The benchmark's KV namespace, whose documents can be changed while it runs: `PUT /~fleet/documents` replaces them all
 * by a JSON object of texts. A change shows at the next read; real KV takes up to a minute.
 */
import kv from "../../../bench/subjects/kv.ts";

type Documents = Readonly<Record<string, string>>;

let documents: Documents = {};

export default {
  async fetch(request): Promise<Response> {
    if (!request.url.endsWith("/~fleet/documents")) return await kv.fetch(request, { DOCUMENTS: documents });
    documents = await request.json<Documents>();
    return new Response();
  },
} satisfies ExportedHandler;
