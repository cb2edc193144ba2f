import { createPrivateKey } from "node:crypto";

import { hostIdOf, hostSigner } from "../host-key.ts";

// RFC 8032 §7.1, test 1, in PKCS #8.
const der =
  "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const key = createPrivateKey({ key: Buffer.from(der, "hex"), format: "der", type: "pkcs8" });

/** The host every test speaks for. */
export const hostId = hostIdOf(key);
export const signer = hostSigner(key);
