"""Client or target of the SOCKS bench: one order a line on stdin, as JSON; its result, or {"fault": ...}, a line on stdout.

In Python because this end must cost less than any proxy in between: epoll on bare sockets, where the same on Node's sockets takes as long
as the proxy itself. Payload is never looked at, and thrown away in the kernel (MSG_TRUNC, tcp(7)).
"""

import json
import select
import socket
import sys
import time

LOOPBACK = "127.0.0.1"
BLOCK = 1 << 20
GREETING = b"\x05\x01\x00"


def tcp():
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def request_for(route):
    port = route["port"].to_bytes(2, "big")
    if "name" in route:
        name = route["name"].encode()
        return b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port
    return b"\x05\x01\x00\x01" + socket.inet_aton(LOOPBACK) + port


def exactly(sock, length):
    taken = b""
    while len(taken) < length:
        more = sock.recv(length - len(taken))
        if not more:
            raise RuntimeError("the connection ended early")
        taken += more
    return taken


def dial(route):
    """A connection that the target can be spoken to on: every step waits for the reply to the one before, as a plain client does."""
    sock = tcp()
    sock.connect((LOOPBACK, route.get("proxy", route["port"])))
    if "proxy" in route:
        sock.sendall(GREETING)
        if exactly(sock, 2) != b"\x05\x00":
            raise RuntimeError("the proxy does not take a client without a password")
        sock.sendall(request_for(route))
        # The bound address is an IPv4 one here, so the reply has ten octets.
        reply = exactly(sock, 10)
        if reply[1] != 0:
            raise RuntimeError(f"the proxy refused with reply {reply[1]}")
    return sock


class Lane:
    """One connection after another; each counts when the target's byte is here, and then the end of the connection."""

    def __init__(self, route, epoll, lanes):
        self.address = (LOOPBACK, route.get("proxy", route["port"]))
        self.is_direct = "proxy" not in route
        self.request = None if self.is_direct else request_for(route)
        self.epoll = epoll
        self.lanes = lanes

    def start(self):
        self.sock = tcp()
        self.sock.setblocking(False)
        self.sock.connect_ex(self.address)
        self.got = b""
        self.lanes[self.sock.fileno()] = self
        self.step = self.read_byte if self.is_direct else self.greet
        events = select.EPOLLIN if self.is_direct else select.EPOLLOUT
        self.epoll.register(self.sock.fileno(), events)

    def greet(self):
        self.sock.send(GREETING)
        self.epoll.modify(self.sock.fileno(), select.EPOLLIN)
        self.step = self.read_method
        return False

    def read_method(self):
        if self.read(2):
            self.got = b""
            self.sock.send(self.request)
            self.step = self.read_byte
        return False

    def read_byte(self):
        length = 1 if self.is_direct else 11
        if not self.read(length):
            return False
        if not self.is_direct and self.got[1] != 0:
            raise RuntimeError(f"the proxy refused with reply {self.got[1]}")
        if self.got[-1:] != b"!":
            raise RuntimeError(f"the target said {self.got[-1:]}")
        self.step = self.read_end
        return False

    def read_end(self):
        if self.sock.recv(16):
            return False
        del self.lanes[self.sock.fileno()]
        self.sock.close()
        return True

    def read(self, length):
        more = self.sock.recv(length - len(self.got))
        if not more:
            raise RuntimeError("the connection ended early")
        self.got += more
        return len(self.got) == length


def connects(route, count, atOnce):
    """Connections per second, so many at a time. The target ends them, so that no port of ours is left waiting (TIME_WAIT)."""
    epoll, lanes = select.epoll(), {}
    started, done = 0, 0
    begin = time.perf_counter()
    for _ in range(min(atOnce, count)):
        Lane(route, epoll, lanes).start()
        started += 1
    while done < count:
        for fd, _ in epoll.poll():
            lane = lanes[fd]
            if lane.step():
                done += 1
                if started < count:
                    started += 1
                    lane.start()
    epoll.close()
    return count / (time.perf_counter() - begin)


def latencies(routes, rounds):
    """Microseconds from a connection's begin to the target's byte, one connection at a time, the routes in turns: a list for each."""
    taken = [[] for _ in routes]
    for _ in range(rounds):
        for at, route in enumerate(routes):
            begin = time.perf_counter()
            sock = dial(route)
            exactly(sock, 1)
            taken[at].append((time.perf_counter() - begin) * 1e6)
            sock.close()
    return taken


def bulk(route, total, connections, isUp):
    """Seconds for `total` bytes over all connections together, from the established connections on."""
    socks = [dial(route) for _ in range(connections)]
    share = total // connections
    move = push if isUp else pull
    begin = time.perf_counter()
    move(socks, share)
    seconds = time.perf_counter() - begin
    for sock in socks:
        sock.close()
    return seconds


def pull(socks, share):
    epoll, left = select.epoll(), {}
    into = bytearray(BLOCK)
    for sock in socks:
        sock.sendall(b"%020d" % share)
        epoll.register(sock.fileno(), select.EPOLLIN)
        left[sock.fileno()] = (sock, share)
    while left:
        for fd, _ in epoll.poll():
            sock, missing = left[fd]
            count = sock.recv_into(into, BLOCK, socket.MSG_TRUNC)
            if count == 0:
                raise RuntimeError(f"{missing} bytes did not come")
            if missing == count:
                epoll.unregister(fd)
                del left[fd]
            else:
                left[fd] = (sock, missing - count)
    epoll.close()


def push(socks, share):
    epoll, left = select.epoll(), {}
    block = memoryview(bytes(BLOCK))
    for sock in socks:
        sock.sendall(b"%020d" % share)
        sock.setblocking(False)
        epoll.register(sock.fileno(), select.EPOLLOUT)
        left[sock.fileno()] = (sock, share)
    while left:
        for fd, _ in epoll.poll():
            sock, missing = left[fd]
            missing -= sock.send(block[: min(BLOCK, missing)])
            left[fd] = (sock, missing)
            if missing == 0:
                epoll.unregister(fd)
                del left[fd]
    epoll.close()
    for sock in socks:
        # Told by a byte, not by an end of our direction, which microsocks takes for the end of both.
        sock.setblocking(True)
        exactly(sock, 1)


held = []


def hold(route, count):
    """Keeps so many connections open and silent."""
    held.extend(dial(route) for _ in range(count))
    return len(held)


def let(**_):
    for sock in held:
        sock.close()
    held.clear()


def serve(greet, source, sink, silent):
    """The target, one port per job, until the one that gives orders has ended."""
    epoll, jobs, state = select.epoll(), {}, {}
    epoll.register(sys.stdin.fileno(), select.EPOLLIN)
    block, into = memoryview(bytes(BLOCK)), bytearray(BLOCK)

    def listen(port, job):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(4096)
        listener.setblocking(False)
        epoll.register(listener.fileno(), select.EPOLLIN)
        jobs[listener.fileno()] = (listener, job)

    def answer(sock):
        sock.send(b"!")
        sock.close()

    def start(job):
        def keep(sock):
            sock.setblocking(False)
            epoll.register(sock.fileno(), select.EPOLLIN)
            state[sock.fileno()] = [sock, job, None]

        return keep

    def pour(entry):
        sock, _, left = entry
        if left is None:
            entry[2] = left = int(sock.recv(20))
            epoll.modify(sock.fileno(), select.EPOLLOUT)
        entry[2] = left = left - sock.send(block[: min(BLOCK, left)])
        return left == 0

    def drink(entry):
        sock, _, left = entry
        if left is None:
            entry[2] = int(sock.recv(20))
            return False
        entry[2] = left = left - sock.recv_into(into, BLOCK, socket.MSG_TRUNC)
        if left > 0:
            return False
        sock.send(b".")
        return True

    def wait(entry):
        return entry[0].recv(1) == b""

    listen(greet, answer)
    listen(source, start(pour))
    listen(sink, start(drink))
    listen(silent, start(wait))
    tell({"result": True})
    while True:
        for fd, _ in epoll.poll():
            if fd == sys.stdin.fileno():
                sys.exit()
            if fd in jobs:
                listener, job = jobs[fd]
                try:
                    sock, _ = listener.accept()
                except BlockingIOError:
                    continue
                job(sock)
                continue
            entry = state[fd]
            try:
                is_over = entry[1](entry)
            except OSError:
                is_over = True
            if is_over:
                epoll.unregister(fd)
                del state[fd]
                entry[0].close()


def tell(reply):
    print(json.dumps(reply), flush=True)


ORDERS = {
    "connects": connects,
    "latencies": latencies,
    "bulk": bulk,
    "hold": hold,
    "let": let,
    "serve": serve,
}

for line in sys.stdin:
    order = json.loads(line)
    try:
        tell({"result": ORDERS[order["order"]](**order["argument"])})
    except Exception as fault:
        tell({"fault": f"{type(fault).__name__}: {fault}"})
