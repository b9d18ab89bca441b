/**
 * What has to hold before a figure means anything: the subjects answer, and those that are said to write the gateway's
 * fields write the very same.
 */
import { gateways, moduleOf, type Stage, type Subject, serveSubject } from "./subjects.ts";
import { LIMITS, type Path } from "./tables.ts";
import { serve } from "./workerd.ts";

const CLIENT = { "CF-Connecting-IP": "203.0.113.7" };
/** A time or a number of remaining units may be a digit shorter or longer. */
const BODY_BYTES_APART_MAX = 4;

interface Answer {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string;
}

/** A refusal of the gateway's. @throws Error where it does not refuse what is over its limit. */
export async function refusalOfGateway(stage: Stage): Promise<string> {
  const services = gateways(["gateway"], moduleOf(stage.modules, "gateway"), stage);
  const server = await serve({ services, sockets: [{ name: "gateway", service: "gateway" }] });
  try {
    for (let i = 0; i <= LIMITS["/fifty"]; i++) {
      const { status, body } = await ask(server.urlOf("gateway"), "/fifty");
      if (status === 429) return body;
    }
  } finally {
    await server.stop();
  }
  throw new Error(`gateway: expected a 429 after ${LIMITS["/fifty"]} requests, got none`);
}

/** @throws Error where a baseline does not write what the gateway writes. */
export async function checkBaselines(stage: Stage): Promise<void> {
  const [passed] = await answersOf("gateway", "/million", 1, stage);
  const [fields] = await answersOf("fields", "/million", 1, stage);
  compare("fields", passed, fields);
  const refused = (await answersOf("gateway", "/fifty", LIMITS["/fifty"] + 1, stage)).at(-1);
  const [constant] = await answersOf("constant", "/fifty", 1, stage);
  compare("constant", refused, constant);
}

function compare(name: string, gateway: Answer | undefined, baseline: Answer | undefined): void {
  const apart = Math.abs((gateway?.body.length ?? 0) - (baseline?.body.length ?? 0));
  const isSame = gateway?.status === baseline?.status && String(gateway?.fields) === String(baseline?.fields);
  if (!isSame || apart > BODY_BYTES_APART_MAX)
    throw new Error(`${name}: expected ${JSON.stringify(gateway)}, got ${JSON.stringify(baseline)}`);
}

async function answersOf(subject: Subject, path: Path, times: number, stage: Stage): Promise<readonly Answer[]> {
  const server = await serveSubject(subject, stage, []);
  try {
    const answers: Answer[] = [];
    for (let i = 0; i < times; i++) answers.push(await ask(server.urlOf(subject), path));
    return answers;
  } finally {
    await server.stop();
  }
}

async function ask(url: string, path: Path): Promise<Answer> {
  const response = await fetch(url + path, { headers: CLIENT });
  const body = await response.text();
  return { status: response.status, fields: [...response.headers.keys()].toSorted(), body };
}
