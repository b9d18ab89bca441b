/**
 * The tables a scenario is played under, through the gateway's own door.
 */
import { readTierTables } from "../../src/config/tables.ts";
import type { TierTables } from "../../src/policy/limits.ts";
import { Faulty } from "./faulty.ts";

/**
 * Reads a `tier-tables` document.
 *
 * @param capacityRpm of the scenario's origin; a document that names a capacity has its own.
 * @throws Faulty with the first fault.
 */
export function readTables(document: unknown, capacityRpm: number, named: string): TierTables {
  const read = readTierTables(JSON.stringify(document) ?? "null");
  if (!read.ok) {
    const [fault] = read.faults;
    const where = fault?.path === undefined || fault.path === "" ? named : `${named}: ${fault.path}`;
    throw new Faulty(`${where}: expected ${fault?.expected}, got ${JSON.stringify(fault?.got) ?? "nothing"}`);
  }
  const namesOwn = typeof document === "object" && document !== null && "capacity_rpm" in document;
  return namesOwn ? read.tables : { ...read.tables, capacityRpm };
}
