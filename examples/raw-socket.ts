// node examples/raw-socket.ts [HOST [PORT]]: reads the identification of an SSH server by its name (RFC 4253, section 4.2).
//
// With the package ssh2 the stream is its option `sock`, and so it is with anything else that takes a stream in place of a host:
//
//   import { Client } from "ssh2";
//   import { connect } from "berth/client";
//   const ssh = new Client();
//   ssh.connect({ sock: connect({ host: "git.shop.berth.internal", port: 22 }), username: "git", privateKey });
import { once } from "node:events";

import { connect } from "berth/client";

const [host = "git.shop.berth.internal", port = "22"] = process.argv.slice(2);

// What is written before there is a connection is sent when there is one.
const stream = connect({ host, port: Number(port) });
stream.write("SSH-2.0-berth_example\r\n");
const [greeting] = (await once(stream, "data")) as [Buffer];
const [identification] = greeting.toString("latin1").split("\r\n");
console.log(`${host} is ${stream.remoteAddress}:${stream.remotePort}: ${identification}`);
stream.destroy();
