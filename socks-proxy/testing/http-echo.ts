import { text as textOf } from "node:stream/consumers";

import type { HttpBed, Site } from "./http-bed.ts";

/** The name that the tests' one web server is published as. */
export const web = "web.berth.internal";

/** What a server was asked: request line, fields and body. */
export interface Echo {
  method: string;
  url: string;
  fields: string[];
  trailers: string[];
  body: string;
}

/** A GET request as a client writes it to a proxy; `fields` end with CRLF each. */
export function get(url: string, fields = "Connection: close\r\n"): string {
  return `GET ${url} HTTP/1.1\r\nHost: ${web}\r\n${fields}\r\n`;
}

/** A server at `web` that says what it was asked. */
export function echoSite(bed: HttpBed): Promise<Site> {
  return bed.site(web, async (request, response) => {
    const body = await textOf(request);
    const { method, url, rawHeaders, rawTrailers } = request;
    response.end(JSON.stringify({ method, url, fields: rawHeaders, trailers: rawTrailers, body }));
  });
}

/** What the server at `web` says in `reply`. Throws when it says nothing there. */
export function echoIn(reply: string): Echo {
  const [text] = /\{.*\}/s.exec(reply) ?? [];
  if (text === undefined) throw new Error(`no echo in ${reply}`);
  return JSON.parse(text) as Echo;
}

export function fieldsOf(echo: Echo, wanted: string): string[] {
  return echo.fields.flatMap((name, at) =>
    at % 2 === 0 && name.toLowerCase() === wanted ? [echo.fields[at + 1] ?? ""] : [],
  );
}
