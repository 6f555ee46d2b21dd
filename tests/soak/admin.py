"""An Envoy admin API of many moods: it answers, says no, hangs, lies, hangs up, and is away.

Owns the moods and the server; knows nothing of who asks."""
import itertools, json, random, socket, struct, threading, time

LIVE = json.dumps(
    {
        "state": "LIVE",
        "version": "soak",
        "node": {"id": "soak"},
        "command_line_options": {"drain_time": "1s"},
    }
)


def http(status, body="", server="envoy", *headers):
    lines = [
        f"HTTP/1.1 {status} soak", f"server: {server}", f"content-length: {len(body)}", *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def answers(path):
    """What a healthy Envoy says."""
    if path.startswith("/ready"):
        return http(200, "LIVE\n")
    if path.startswith("/server_info"):
        return http(200, LIVE)
    if path.startswith(("/quitquitquit", "/drain_listeners")):
        return http(200, "OK\n")
    if path.startswith(("/stats", "/clusters")):
        return http(200, "")
    return http(404, "invalid path")


def says_no(path):
    return http(503, "PRE_INITIALIZING\n") if path.startswith("/ready") else answers(path)


def lies(path):
    """Ready, and everything else is wrong in a way that depends on the page."""
    if path.startswith("/ready"):
        return http(200, "LIVE\n")
    garbage = [
        "{\"state\":\"LIVE\",",
        "[" * 5000,
        "null",
        "cluster.x.rq_active: -1\n" * 500,
        "\0\xff" * 300,
    ]
    return http(200, garbage[len(path) % len(garbage)])


def stranger(_):
    return http(200, "<html>hello</html>", "nginx/1.27")


def leads_out(_):
    return http(301, "", "envoy", "location: http://192.0.2.1/")


def is_locked(_):
    return http(403, "Forbidden")


def speaks_no_http(_):
    return b"SSH-2.0-OpenSSH_9.2\r\n"


def claims_too_much(_):
    return b"HTTP/1.1 200 OK\r\nserver: envoy\r\ncontent-length: 999999999999\r\n\r\nLIVE"


def breaks_off(_):
    return b"HTTP/1.1 200 OK\r\nser"


def has_a_long_head(_):
    return b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000 + b"\r\n\r\nLIVE"


# Not a page, but what becomes of the connection: each gets the socket and the moment at which the
# mood is over.
def is_silent(stream, over):
    time.sleep(max(0, over - time.monotonic()))


def hangs_up(stream, over):
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def never_ends(stream, over):
    stream.sendall(b"HTTP/1.1 200 OK\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n\r\n")
    while time.monotonic() < over:
        stream.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")


PAGES = [
    answers, says_no, lies, stranger, leads_out, is_locked, speaks_no_http, claims_too_much,
    breaks_off, has_a_long_head,
]
CONNECTIONS = [is_silent, hangs_up, never_ends]
AWAY = "is_away"


class Admin:
    """On a port of its own; a new mood each `period` seconds, every second one of them healthy."""

    def __init__(self, period, always=None):
        self.period, self.always = period, always
        self.mood, self.over, self.requests, self.seen = answers, 0.0, 0, set()
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("127.0.0.1", 0))
        self.keeper, self.address = keeper, keeper.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        threading.Thread(target=self.live, daemon=True).start()

    def moods(self):
        if self.always:
            while True:
                yield from self.always
        shuffled = random.Random(15)
        while True:
            others = [mood for mood in [*PAGES, *CONNECTIONS, AWAY] if mood is not answers]
            shuffled.shuffle(others)
            for mood in others:
                yield answers
                yield mood

    def live(self):
        for mood in self.moods():
            self.mood, self.over = mood, time.monotonic() + self.period
            self.seen.add(mood if mood == AWAY else mood.__name__)
            if mood == AWAY:
                time.sleep(self.period)
                continue
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                listener.bind(self.address)
                listener.listen(64)
                while (left := self.over - time.monotonic()) > 0:
                    listener.settimeout(left)
                    try:
                        stream, _ = listener.accept()
                    except TimeoutError:
                        break
                    threading.Thread(
                        target=self.serve, args=(stream, mood, self.over), daemon=True
                    ).start()

    def serve(self, stream, mood, over):
        with stream:
            try:
                stream.settimeout(self.period)
                while request := self.read(stream):
                    self.requests += 1
                    if mood in CONNECTIONS:
                        return mood(stream, over)
                    stream.sendall(mood(request))
                    if mood in PAGES[-4:] or time.monotonic() > over:
                        return None
            except OSError:
                return None

    def read(self, stream):
        """The path of the next request; None where there is none."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = stream.recv(4096)
            if not piece:
                return None
            head += piece
        return head.split(b" ", 2)[1].decode()
