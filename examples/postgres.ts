// node examples/postgres.ts [HOST [PORT [USER]]]: greets a PostgreSQL server by its name, and says what it answers.
//
// With the package pg it is one option, for Client and Pool alike:
//
//   import pg from "pg";
//   import { socket } from "berth/client";
//   const client = new pg.Client({ host: "db.shop.berth.internal", port: 5432, user: "shop", stream: () => socket() });
//
// pg then calls socket.connect(port, host) itself. This example needs no package: it sends the start-up message of PostgreSQL's protocol
// 3.0 the way pg does.
import { once } from "node:events";

import { socket } from "berth/client";

const [host = "db.shop.berth.internal", port = "5432", user = "postgres"] = process.argv.slice(2);

const stream = socket();
stream.connect(Number(port), host);
stream.write(startUpMessage({ user, database: user }));
const [message] = (await once(stream, "data")) as [Buffer];
console.log(`${host} answers: ${meaning(message)}`);
stream.end();

function startUpMessage(parameters: Record<string, string>): Buffer {
  const text = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`);
  const body = Buffer.from(`${text.join("")}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + body.length, 0);
  head.writeInt32BE(3 << 16, 4);
  return Buffer.concat([head, body]);
}

function meaning(message: Buffer): string {
  const type = String.fromCharCode(message[0] ?? 0);
  if (type === "E") return `an error: ${message.toString("utf8", 5).split("\0").join(" ")}`;
  if (type !== "R") return `a message of type ${type}`;
  const method = message.readInt32BE(5);
  return method === 0 ? "come in" : `authentication, by method ${method}`;
}
