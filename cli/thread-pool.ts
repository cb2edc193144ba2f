/** Half of them may look names up. The 60 more than Node's own 4 take less than a megabyte. */
const threads = 64;

/**
 * Has libuv start more threads than its 4, of which 2 may wait for a name server: with those two held by names whose servers are silent,
 * nobody else's name would be found. Works only before the first of them is needed; a user's own number stands.
 */
export function widenThreadPool(): void {
  process.env.UV_THREADPOOL_SIZE ||= String(threads);
}
