/**
 * What the gateway's own paths work with: the settings, the ports, and what this isolate knows.
 */
import type { Config } from "../config/vars.ts";
import type { Quotas } from "../edge/quota.ts";
import type { Signer } from "../edge/sign.ts";
import type { SignalKeeper } from "../edge/signal.ts";
import type { Ports } from "../ports.ts";

/** The desk of one isolate. */
export interface Desk extends Pick<SignalKeeper, "rulesAt" | "sightAt"> {
  readonly config: Config;
  readonly ports: Ports;
  readonly quotas: Quotas;
  readonly sign: Signer;
}
