/**
 * The configuration of a bare workerd, written as Cap'n Proto text.
 *
 * Only what benchmarks and fleets need: Workers from one bundled module each, their bindings, sockets on loopback, and
 * Durable Objects kept on a disk directory. Several services may bind the namespace of one that owns it; each service is
 * an isolate of its own, so that is a fleet in one process.
 *
 * Pure.
 */

/** What a service sees in its `env`. */
export type Binding =
  | { readonly kind: "text"; readonly name: string; readonly text: string }
  | { readonly kind: "json"; readonly name: string; readonly value: unknown }
  | { readonly kind: "service"; readonly name: string; readonly service: string }
  /** A KV namespace, kept by a service that speaks workerd's KV protocol (`subjects/kv.ts`). */
  | { readonly kind: "kv"; readonly name: string; readonly service: string }
  /** The namespace of a class that `service` owns; of this service's own, where it is left out. */
  | { readonly kind: "durableObject"; readonly name: string; readonly className: string; readonly service?: string };

/** A Worker in an isolate of its own. */
export interface Service {
  readonly name: string;
  /** Path of its one bundled module. */
  readonly module: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags?: readonly string[];
  readonly bindings?: readonly Binding[];
  /** Classes of Durable Objects that live in this service; SQLite behind each. */
  readonly durableObjects?: readonly string[];
  /** true: they have no file of their own, and no SQLite. */
  readonly keptInMemory?: boolean;
}

/** A port of its own on 127.0.0.1 for a service. */
export interface Socket {
  readonly name: string;
  readonly service: string;
}

/** All there is in one workerd. */
export interface Configuration {
  readonly services: readonly Service[];
  readonly sockets: readonly Socket[];
  /** Where Durable Objects are kept. */
  readonly storageDir: string;
}

const STORAGE = "storage";

/** The configuration as text; the constant is named `config`. */
export function configText({ services, sockets, storageDir }: Configuration): string {
  // Workers may reach loopback, where the origin is: without it workerd refuses all but public addresses.
  const own = [
    `(name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true)))`,
    `(name = "${STORAGE}", disk = (path = ${text(storageDir)}, writable = true))`,
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${[...own, ...services.map(serviceText)].join(",\n    ")}
  ],
  sockets = [
    ${sockets.map(socketText).join(",\n    ")}
  ]
);
`;
}

function serviceText(service: Service): string {
  const { name, module, compatibilityDate, compatibilityFlags = [], bindings = [] } = service;
  const { durableObjects = [], keptInMemory = false } = service;
  const namespaces = durableObjects.map((className) => {
    const uniqueKey = text(`${name}-${className}`);
    return `(className = ${text(className)}, uniqueKey = ${uniqueKey}, enableSql = ${!keptInMemory})`;
  });
  const storage = keptInMemory ? "(inMemory = void)" : `(localDisk = "${STORAGE}")`;
  const members = [
    `modules = [(name = "worker", esModule = embed ${text(module)})]`,
    `compatibilityDate = ${text(compatibilityDate)}`,
    `compatibilityFlags = [${compatibilityFlags.map(text).join(", ")}]`,
    `bindings = [${bindings.map(bindingText).join(", ")}]`,
    ...(namespaces.length === 0
      ? []
      : [`durableObjectNamespaces = [${namespaces.join(", ")}]`, `durableObjectStorage = ${storage}`]),
  ];
  return `(name = ${text(name)}, worker = (${members.join(", ")}))`;
}

function bindingText(binding: Binding): string {
  return `(name = ${text(binding.name)}, ${bindingValue(binding)})`;
}

function bindingValue(binding: Binding): string {
  switch (binding.kind) {
    case "text":
      return `text = ${text(binding.text)}`;
    case "json":
      return `json = ${text(JSON.stringify(binding.value))}`;
    case "service":
      return `service = ${text(binding.service)}`;
    case "kv":
      return `kvNamespace = ${text(binding.service)}`;
    case "durableObject": {
      const { className, service } = binding;
      const from = service === undefined ? "" : `, serviceName = ${text(service)}`;
      return `durableObjectNamespace = (className = ${text(className)}${from})`;
    }
  }
}

function socketText({ name, service }: Socket): string {
  return `(name = ${text(name)}, address = "127.0.0.1:0", http = (), service = ${text(service)})`;
}

/** A string literal; Cap'n Proto knows JSON's escapes except those of control characters. */
function text(value: string): string {
  const literal = JSON.stringify(value);
  if (literal.includes("\\u")) throw new RangeError(`text: expected no control characters, got ${literal}`);
  return literal;
}
