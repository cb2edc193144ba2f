import { type Address, isLoopback } from "../../shared/address.ts";
import { type AddressBlock, blockOf, carriedAddress, isInBlock } from "./address-block.ts";

const loopback = ["127.0.0.0/8", "::1/128"].map(blockOf);
/** The kernel takes the unspecified address for this machine; the rest of its block is nobody's (RFC 1122 §3.2.1.3). */
const unspecified = ["0.0.0.0/8", "::/128"].map(blockOf);
/** RFC 3927, RFC 4291 §2.5.6. Clouds answer with a machine's credentials at 169.254.169.254. */
const linkLocal = ["169.254.0.0/16", "fe80::/10"].map(blockOf);
/** RFC 1918, RFC 6598, RFC 4193, and site-local, which RFC 3879 has taken out of use. */
const privateUse = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
  "fec0::/10",
].map(blockOf);

/** Addresses that mean this machine or its link, whoever says them: a name of strangers has no business there. */
export const guardedBlocks: readonly AddressBlock[] = [...loopback, ...unspecified, ...linkLocal];

/** The address itself and, where it carries an IPv4 one that is not everybody's, that one too: a disguise hides nothing. */
export function formsOf(address: Address): readonly Address[] {
  const carried = carriedAddress(address);
  return carried === undefined || !isSpecial(carried) ? [address] : [address, carried];
}

export function isGuarded(address: Address): boolean {
  return isInOne(address, guardedBlocks);
}

/** This machine itself: loopback, or what the kernel takes for it. */
export function isOwnMachine(address: Address): boolean {
  return isLoopback(address) || isInOne(address, unspecified);
}

export function isUnspecifiedAddress(address: Address): boolean {
  return isInOne(address, unspecified);
}

/** Of some network's own, not the world's: RFC 1918, 4193, 6598 and link-local. */
export function isPrivate(address: Address): boolean {
  return isInOne(address, privateUse) || isInOne(address, linkLocal);
}

function isSpecial(address: Address): boolean {
  return isGuarded(address) || isInOne(address, privateUse);
}

function isInOne(address: Address, blocks: readonly AddressBlock[]): boolean {
  return blocks.some((block) => isInBlock(address, block));
}
