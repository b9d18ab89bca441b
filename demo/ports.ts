/**
 * Whether a port of this machine is free, asked before anything is started on it.
 *
 * The price: between the answer and the use somebody else may take it; then whoever listens second says so.
 */
import { createServer } from "node:net";

/** Resolves when the port can be opened; rejects with one line naming the setting when not. */
export function expectFreePort(setting: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "it is taken" : (error.code ?? error.message);
      reject(new Error(`${setting}: port ${port} on 127.0.0.1 cannot be opened: ${why}`));
    });
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve()));
  });
}
