/** DNS messages over TCP: each behind its length (RFC 1035 §4.2.2). */

const lengthOctets = 2;

/** Takes a stream apart into messages. It holds what was given to it, so the caller bounds how much it adds before it takes. */
export class MessageFrames {
  #bytes: Uint8Array = new Uint8Array(0);

  /** The bytes are copied. */
  add(bytes: Uint8Array): this {
    const joined = new Uint8Array(this.#bytes.length + bytes.length);
    joined.set(this.#bytes);
    joined.set(bytes, this.#bytes.length);
    this.#bytes = joined;
    return this;
  }

  /** The next whole message, or undefined until more bytes come. */
  next(): Uint8Array | undefined {
    const [high, low] = this.#bytes;
    if (high === undefined || low === undefined) return undefined;
    const end = lengthOctets + high * 256 + low;
    if (this.#bytes.length < end) return undefined;
    const message = this.#bytes.subarray(lengthOctets, end);
    this.#bytes = this.#bytes.subarray(end);
    return message;
  }

  /** Octets of a message that is not whole yet, or not taken. */
  get length(): number {
    return this.#bytes.length;
  }
}

export function withLength(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(lengthOctets + message.length);
  framed.set([message.length >> 8, message.length & 255]);
  framed.set(message, lengthOctets);
  return framed;
}
