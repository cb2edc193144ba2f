// node examples/http.ts [URL]: asks an HTTP service by its name, in the two ways Node has.
import { request } from "node:http";
import { text } from "node:stream/consumers";

import { agent, dispatcher } from "berth/client";

const url = process.argv[2] ?? "http://web.shop.berth.internal/";

// fetch, with connections that go where berth's names lead.
const reply = await fetch(url, { dispatcher: dispatcher() });
console.log(`fetch: ${reply.status} ${await reply.text()}`);

// http.request, and what is built on it: axios, got, node-fetch.
request(url, { agent: agent() }, async (response) => {
  console.log(`http.request: ${response.statusCode} ${await text(response)}`);
}).end();
