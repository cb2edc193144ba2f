import { once } from "node:events";
import { connect, createServer } from "node:net";

/** One call of the engine's API: the agent makes a connection for each. */
export interface EngineCall {
  path: string;
  /** From the connection to its end. */
  ms: number;
}

export interface CountingSocket {
  /** Of those that have ended. */
  calls: EngineCall[];
  close(): void;
}

/** A unix socket at `path` that leads to the engine's and notes every call. */
export async function countCalls(path: string, engineSocket: string): Promise<CountingSocket> {
  const calls: EngineCall[] = [];
  const open = new Set<() => void>();
  const server = createServer((client) => {
    const startedAt = performance.now();
    const engine = connect(engineSocket);
    const end = (): void => {
      client.destroy();
      engine.destroy();
    };
    open.add(end);
    client.once("data", (chunk: Buffer) => {
      const asked = /^GET (\S+)/.exec(chunk.toString("latin1"))?.[1] ?? "?";
      client.once("close", () => calls.push({ path: asked, ms: performance.now() - startedAt }));
    });
    for (const socket of [client, engine]) socket.on("error", end).on("close", end);
    client.pipe(engine).pipe(client);
    client.once("close", () => open.delete(end));
  });
  await once(server.listen(path), "listening");
  return {
    calls,
    close() {
      server.close();
      for (const end of open) end();
    },
  };
}
