/**
 * The call to the one meter of the fleet.
 */
import type { LoadMeter } from "../objects/meter.ts";
import type { Metering, MeterView } from "../ports.ts";

/** Its name; another one is another fleet's. */
const NAME = "v1";
/** Where it is created; it never moves afterwards. */
const LOCATION_HINT = "weur";

/** The meter in the namespace of `LoadMeter`. */
export function createMetering(namespace: DurableObjectNamespace<LoadMeter>): Metering {
  // A stub belongs to the request that made it, and one that has failed stays broken: a new one each time.
  const stub = () => namespace.getByName(NAME, { locationHint: LOCATION_HINT });
  return {
    report: async (report) => await stub().report(report),
    // The platform's type for an RPC answer is `never` for what holds an `unknown`, here in a fault.
    view: async (asks) => await (stub().view(asks) as Promise<MeterView>),
    hearOrigin: async (health) => await stub().hearOrigin(health),
  };
}
