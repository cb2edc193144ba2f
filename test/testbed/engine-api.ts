import { request } from "node:http";
import { text } from "node:stream/consumers";
import type { EngineCli } from "./engine-cli.ts";

type Place = Pick<EngineCli, "socketPath">;

/** More than an engine needs for any answer; one that was frozen for good gives none. */
const patienceMs = 30_000;

/**
 * Asks an engine's API itself, where starting the docker program for it would cost more than the answer. GET, or POST with a body.
 * Undefined for 404: what is asked for went a moment ago. Rejects with what the engine says to any other refusal.
 */
export async function askEngine({ socketPath }: Place, path: string, body?: object): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const method = body === undefined ? "GET" : "POST";
  const headers = { "content-type": "application/json" };
  const signal = AbortSignal.timeout(patienceMs);
  const sent = request({ socketPath, path, method, headers, signal, agent: false }, (response) => {
    const { statusCode = 500 } = response;
    text(response).then((said) => {
      if (statusCode < 300) resolve(said);
      else if (statusCode === 404) resolve(undefined);
      else reject(new Error(`${method} ${path}: ${statusCode} ${said.trim()}`));
    }, reject);
  });
  sent.on("error", reject);
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const said = await promise;
  return said ? JSON.parse(said) : undefined;
}

/** What the engine says of each container that runs, as `docker inspect` shows it, of those whose names begin with `prefix`. */
export async function inspectRunning<T>(engine: Place, prefix = ""): Promise<T[]> {
  const listed = (await askEngine(engine, "/containers/json")) as { Id: string; Names: string[] }[];
  const wanted = listed.filter(({ Names }) => Names[0]?.replace(/^\//, "").startsWith(prefix));
  const found: T[] = [];
  // One at a time: who only looks is not to hold up those who work.
  for (const { Id } of wanted) {
    const one = await askEngine(engine, `/containers/${Id}/json`);
    if (one !== undefined) found.push(one as T);
  }
  return found;
}
