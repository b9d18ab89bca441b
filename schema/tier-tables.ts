import { toJsonSchema } from "@valibot/to-json-schema";
import { TierTablesDocument } from "../src/config/tables-schema.ts";

/** The JSON Schema of a `tier-tables` document: its shape; rules that span members are checked by the gateway alone. */
export function tierTablesSchema(): object {
  const schema = toJsonSchema(TierTablesDocument, {
    // The guard before each object has no counterpart: JSON Schema tells objects from arrays by itself.
    typeMode: "output",
    overrideSchema: ({ valibotSchema, jsonSchema }) => (valibotSchema.type === "custom" ? {} : jsonSchema),
  });
  return { ...schema, title: "levqor-edge tier tables" };
}
