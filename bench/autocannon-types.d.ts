/**
 * As much of autocannon's types as is used, so that the types can be checked where it is not installed.
 */
declare module "autocannon" {
  interface Request {
    readonly headers?: Readonly<Record<string, string>>;
  }

  interface Result {
    readonly requests: { readonly total: number };
    readonly latency: { readonly p50: number; readonly p99: number };
    readonly errors: number;
    readonly timeouts: number;
    /** Seconds. */
    readonly duration: number;
  }

  interface Run extends PromiseLike<Result> {
    on(event: "response", listener: (client: unknown, status: number) => void): void;
    stop(): void;
  }

  export default function autocannon(options: {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    readonly requests: readonly { readonly setupRequest: (request: Request) => Request }[];
  }): Run;
}
