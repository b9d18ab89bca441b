/** Config that cannot be served. `path` names the field, `got` the value: enough to fix it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly path: string;
  readonly got: unknown;

  constructor(path: string, expected: string, got: unknown) {
    super(`${path}: expected ${expected}, got ${got === undefined ? "nothing" : JSON.stringify(got)}`);
    this.path = path;
    this.got = got;
  }
}
