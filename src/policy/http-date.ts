/**
 * HTTP-date (RFC 9110 section 5.6.7), its three forms and nothing else: `Date.parse` alone takes "0" or "2030" for a
 * date, and an invalid `Expires` has to mean "already over".
 *
 * Pure.
 */
const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const RFC_850 = /^[A-Z][a-z]{5,8}, (\d{2}-[A-Z][a-z]{2})-(\d{2}) (\d{2}:\d{2}:\d{2}) GMT$/;
/** Two digits from here on are of the last century: nobody sends a date that is half a century old or ahead. */
const PIVOT_YEAR = 70;
const ASCTIME = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/** Unix ms of a date as a field has it; null where there is none or it is none. */
export function httpDateMs(text: string | null): number | null {
  if (text === null) return null;
  const date = text.trim();
  const ms = Date.parse(IMF_FIXDATE.test(date) ? date : ASCTIME.test(date) ? `${date} GMT` : fullYear(date));
  return Number.isNaN(ms) ? null : ms;
}

/** A date of RFC 850 with four digits of its year; empty for anything else. */
function fullYear(date: string): string {
  const [, day, year, time] = RFC_850.exec(date) ?? [];
  return year === undefined ? "" : `${day}-${Number(year) < PIVOT_YEAR ? "20" : "19"}${year} ${time} GMT`;
}
