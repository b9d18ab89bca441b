/**
 * Writes `tier-tables.schema.json` from the schema that the gateway checks documents with.
 */
import { writeFileSync } from "node:fs";
import { tierTablesSchema } from "./tier-tables.ts";

writeFileSync(new URL("tier-tables.schema.json", import.meta.url), `${JSON.stringify(tierTablesSchema(), null, 2)}\n`);
