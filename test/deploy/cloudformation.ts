/**
 * Checks a CloudFormation template against the specification of AWS' resources that AWS publishes on npm: every property
 * known, none missing that is required, each of its type.
 *
 * The price: values are checked by type alone, since the specification has no ranges; and an intrinsic function is taken
 * for whatever its place wants, once what it refers to exists.
 */
import { loadAwsServiceSpec } from "@aws-cdk/aws-service-spec";

/** As much of a template as is checked. */
export interface Template {
  readonly Parameters?: Readonly<Record<string, unknown>>;
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties?: unknown }>>;
}

/** The specification of all resources; reading it takes a second. */
export type Database = Awaited<ReturnType<typeof loadAwsServiceSpec>>;
export { loadAwsServiceSpec as loadSpecification };

/** The specification's own words for what a property is. */
interface PropertyType {
  readonly type: string;
  readonly element?: PropertyType;
  readonly types?: readonly PropertyType[];
  readonly reference?: { readonly $ref: string };
}
type Properties = Readonly<Record<string, { readonly type: PropertyType; readonly required?: boolean }>>;

/** Everything wrong with a template, one line each; empty if nothing. */
export function templateFaults(template: Template, database: Database): readonly string[] {
  const names = new Set([...Object.keys(template.Parameters ?? {}), ...Object.keys(template.Resources)]);
  return Object.entries(template.Resources).flatMap(([name, { Type, Properties: given }]) => {
    const [resource] = database.lookup("resource", "cloudFormationType", "equals", Type);
    if (resource === undefined) return [`${name}: no such resource as ${Type}`];
    return objectFaults(given ?? {}, resource.properties as Properties, name, { database, names });
  });
}

interface Context {
  readonly database: Database;
  /** What a `Ref` may name. */
  readonly names: ReadonlySet<string>;
}

function objectFaults(given: unknown, properties: Properties, path: string, context: Context): readonly string[] {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return [`${path}: expected an object`];
  const missing = Object.entries(properties)
    .filter(([name, { required }]) => required === true && !Object.hasOwn(given, name))
    .map(([name]) => `${path}.${name}: required`);
  const wrong = Object.entries(given).flatMap(([name, value]) => {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return property === undefined
      ? [`${path}.${name}: no such property`]
      : valueFaults(value, property.type, `${path}.${name}`, context);
  });
  return [...missing, ...wrong];
}

function valueFaults(value: unknown, expected: PropertyType, path: string, context: Context): readonly string[] {
  const reference = referenceOf(value);
  if (reference !== null) return context.names.has(reference) ? [] : [`${path}: Ref to ${reference}, which is nowhere`];
  switch (expected.type) {
    case "string":
    case "boolean":
    case "number":
      return typeof value === expected.type ? [] : [`${path}: expected a ${expected.type}`];
    case "integer":
      return Number.isInteger(value) ? [] : [`${path}: expected an integer`];
    case "array":
      if (!Array.isArray(value)) return [`${path}: expected an array`];
      return value.flatMap((item, index) => valueFaults(item, elementOf(expected), `${path}[${index}]`, context));
    case "ref": {
      const definition = context.database.get("typeDefinition", expected.reference?.$ref ?? "");
      return objectFaults(value, definition.properties as Properties, path, context);
    }
    case "union": {
      const faults = (expected.types ?? []).map((type) => valueFaults(value, type, path, context));
      return faults.some((found) => found.length === 0) ? [] : (faults[0] ?? []);
    }
    default:
      throw new RangeError(`${path}: the specification has a type that this check does not know, ${expected.type}`);
  }
}

function elementOf({ element }: PropertyType): PropertyType {
  if (element === undefined) throw new RangeError("element: expected an array's type to name it");
  return element;
}

function referenceOf(value: unknown): string | null {
  if (typeof value !== "object" || value === null || Object.keys(value).length !== 1 || !("Ref" in value)) return null;
  return String(value.Ref);
}
