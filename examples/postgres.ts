// node examples/postgres.ts [HOST [PORT [USER]]]: asks a PostgreSQL server for its version, by its name. Needs the package pg.
import { socket } from "berth/client";
import pg from "pg";

const [host = "db.shop.berth.internal", port = "5432", user = "postgres"] = process.argv.slice(2);

// pg calls connect(port, host) on what `stream` gives it; a Pool takes the same option.
const client = new pg.Client({
  host,
  port: Number(port),
  user,
  database: "postgres",
  stream: () => socket(),
});
await client.connect();
const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
console.log(`${host} is PostgreSQL ${rows[0]?.server_version}`);
await client.end();
