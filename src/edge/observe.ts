/**
 * What makes a request traceable: its identifier, the client's own where that is a sane token.
 */

/** Letters, digits and a few marks: safe in a header field, a log line and a URL. */
const SANE_TOKEN = /^[A-Za-z0-9._:-]{1,128}$/;

/** The identifier of a request. */
export function requestIdOf(headers: Headers, newId: () => string): string {
  const given = headers.get("x-request-id");
  return given !== null && SANE_TOKEN.test(given) ? given : newId();
}
