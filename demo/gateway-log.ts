/**
 * What of `wrangler dev`'s output a person should see: the Worker's own lines and every error, but not the table of
 * bindings it starts with, and not a line per request.
 */
const STARTED = "[wrangler:info] Ready on ";
const CHATTER = "[wrangler:info] ";
const FAULT = "[wrangler:error] ";

/** A filter for one run of the gateway: given each line in turn, says whether to show it. */
export function gatewayLogFilter(): (line: string) => boolean {
  let started = false;
  return function isWorthShowing(line) {
    if (started) return !line.startsWith(CHATTER);
    started = line.startsWith(STARTED);
    return line.startsWith(FAULT);
  };
}
