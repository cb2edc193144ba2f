import { bytesFromBase64 } from "../../shared/base64.ts";
import type { Users } from "../socks/handshake.ts";

const colon = 0x3a;

/** The user whom the values of the Proxy-Authorization field prove to ask (RFC 7617 §2); undefined when they prove nothing. */
export function userFrom(values: readonly string[], users: Users): string | undefined {
  const [value, ...more] = values;
  const encoded = /^basic +([\w+/]+={0,2}) *$/i.exec(value ?? "")?.[1];
  const octets = encoded === undefined || more.length > 0 ? undefined : bytesFromBase64(encoded);
  const end = octets?.indexOf(colon) ?? -1;
  if (octets === undefined || end === -1) return undefined;
  return users.verify(octets.subarray(0, end), octets.subarray(end + 1));
}
