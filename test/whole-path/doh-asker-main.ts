import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { RRType, rcodeName } from "../../shared/dns/constants.ts";
import { queryDoh } from "../../shared/doh-client.ts";
import { describeFault } from "../../shared/errors.ts";
import { parseName } from "../../shared/name.ts";
import type { DohQuestion, DohReply } from "./doh-asker.ts";

// A process of its own, so that it asks from the network namespace of the machine it stands for.

const [socketPath, url = "", tokenFile = ""] = process.argv.slice(2);

createServer(async (request, response) => {
  try {
    const question = (await json(request)) as DohQuestion;
    response.end(JSON.stringify(await ask(question)));
  } catch (fault) {
    response.statusCode = 502;
    response.end(describeFault(fault));
  }
}).listen(socketPath, () => console.log(`asks ${url}`));

async function ask({ name, type, fresh = false }: DohQuestion): Promise<DohReply> {
  const server = { fetch, url, timeoutMs: 5000, token: readFileSync(tokenFile, "utf8").trim() };
  const number = RRType[type as keyof typeof RRType];
  const { rcode, answer, authority, additional } = await queryDoh(server, parseName(name), number, { fresh });
  return { rcode: rcodeName(rcode), answer, authority, additional };
}
