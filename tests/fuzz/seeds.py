"""The first inputs of each target: the real answers of tests/fixtures, and what is at the limits.

Owns which answers are whose, and writes them as files; must never hold a copy of an answer that
tests/fixtures has.
"""
import pathlib, random, struct

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"

# The pages of a set in the order of tests/properties/laws/doctor.rs, and what lies between them.
ORDER = [
    "circumstances", "server_info", "stats", "stats later", "listeners", "routes", "endpoints",
    "static endpoints", "cluster types", "certs", "runtime", "warming secrets", "agent metrics",
    "linkerd metrics", "usage", "sockets", "inbound clusters",
]
BETWEEN = b"\0"

HTTP = [
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nx",
]
SOCKETS = b"""\
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 4242 1 \
0000000000000000 100 0 0 10 0
   1: 0100007F:3A98 0100007F:D2F0 01 FFFFFFFF:FFFFFFFF 00:00000000 00000000     0        0 \
18446744073709551615 1 0 20 4 30 10 -1
   2: 0A00420A:1F90 1400420A:D2F0 01 00000000:00000000 00:00000000 00000000 10001        0 4243 1 \
0 20 4 30 10 -1
   3: 0A00420A:3A9E 1400420A:D2F0 01 00000000:00000000 00:00000000 00000000  1337        0 4244 1 \
0 20 4 30 10 -1
   4: 00000000:3A9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 4245 1 \
0 100 0 0 10 0
   5: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A \
00000000:00000000 00:00000000 00000000  1000        0 7 1 0 100 0 0 10 0
   6: 0000000000000000FFFF00000100007F:3A9D 0000000000000000FFFF00000100007F:D2F1 08 \
00000000:00000001 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
"""
STATS_OF_PROCESSES = [
    b"1 (sh) S 0 1 1 0 -1 4194560 900 0 2 0 1 2 0 0 20 0 1 0 12345 4096 100 18446744073709551615",
    b"7 (a) T (b\xff\x1b) T 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 18446744073709551615 0 0\n",
]
HEADS = [
    b"#!/bin/sh\necho",
    b"#! /usr/bin/env bash -e\r\n",
    b"\xef\xbb\xbf#!/bin/sh\n",
    b"MZ\x90\0",
]
PICKED = [
    b'{"a":1,"b":[1,{"c":"\\"]}"},[]],"node":{"metadata":{"x":[true,null,-1.5e3]}}}',
    b'{"a":{"b":"c"},"b":[1,"18446744073709551615"],"c":[[],{}],"d":"\\ud83d\\ude00"}',
    b'[{"a":{"b":null}},true,"0.000001"]',
]
INIT_DUMP = (
    b'{"unready_targets_dumps":[{"name":"init manager Server","target_names":["target '
    b'Initialization Manager cluster xds_cluster"]}]}'
)
RUNTIME = b'{"layers":["a","admin"],"entries":{"x.y":{"final_value":"1","layer_values":["","1"]}}}'
SECRETS = b'{"configs":[{"name":"default","version_info":"uninitialized"}]}'
CLUSTERS = (
    b'{"cluster_statuses":[{"name":"inbound|8080||",'
    b'"host_statuses":[{"address":{"socket_address":{"address":"10.0.0.1","port_value":8080}},'
    b'"stats":[{"type":"GAUGE","name":"rq_active","value":"3"},{"name":"cx_active","value":"1"},'
    b'{"name":"rq_total","value":"18446744073709551615"}]}]}]}'
)
INBOUND = (
    b'{"configs":[{"cluster":{"name":"inbound|8080||","type":"ORIGINAL_DST",'
    b'"upstream_bind_config":{"source_address":{"address":"127.0.0.6"}},'
    b'"load_assignment":{"endpoints":[{"lb_endpoints":[{"endpoint":'
    b'{"address":{"socket_address":{"address":"0.0.0.0","port_value":8080}}}}]}]}}}]}'
)
REQUESTS = (
    b"http.inbound_0.0.0.0_8080;.downstream_rq_active: 7\n"
    b"listener.0.0.0.0_15006.downstream_cx_active: 18446744073709551615\n"
)
USAGE = (
    b"outbound|80||a.b.svc.cluster.local::10.0.0.1:80::rq_total::18446744073709551615\n"
    b"outbound|80||a.b::1.2.3.4:1::cx_total::3\n"
)
LINKERD = (
    b'process_start_time_seconds 1764000000\nidentity_cert_expiration_timestamp_seconds 1e19\n'
    b'inbound_http_authz_deny_total{target_port="80",tls="no_identity"} 9\n'
    b'request_total{direction="inbound",target_port="8080",tls="no_identity",'
    b'no_tls_reason="no_tls"} 4\n'
    b'tcp_open_connections{peer="src",direction="inbound"} 1\n'
)
SETTINGS = [
    b"wait\0--timeout=5s\0--mesh=istio\0MESHIM_READY_URL=http://127.0.0.1:15021/healthz/ready",
    b"--drain\0--drain-max=1m30s\0--map-signal=TERM:QUIT\0--\0app\0-x\0MESHIM_OK_EXIT=0,143,256\0"
    b"MESHIM_WAIT_FOR=tcp://127.0.0.1:80,[::1]:1",
    b"doctor\0--output=json\0--deep\0MESHIM_MESH=linkerd\0MESHIM_TIMEOUT=",
    b"--no-such\0MESHIM_TIMEUOT=1s",
]


def program(machine):
    """An ELF file whose second program header names its loader."""
    loader, headers = b"/lib/ld-musl.so.1\0", 64 + 2 * 56
    head = struct.pack("<4s3B9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 3, machine, 1, 0, 64, 0, 0,
                       64, 56, 2, 0, 0, 0)
    first = struct.pack("<IIQQQQQQ", 6, 4, 64, 64, 64, 112, 112, 8)
    second = struct.pack("<IIQQQQQQ", 3, 4, headers, 0, 0, len(loader), len(loader), 1)
    return head + first + second + loader


def messages():
    """A dump of sock_diag: a listener, a connection with its tcp_info, and the end."""
    def address(text):
        return bytes(int(part) for part in text.split(".")) + bytes(12)

    def one(state, source, destination, info):
        # struct inet_diag_msg, and its attributes.
        identity = (
            struct.pack(">HH", *[port for _, port in (source, destination)])
            + address(source[0])
            + address(destination[0])
            + bytes(12)
        )
        body = bytes([2, state, 0, 0]) + identity + struct.pack("<IIIII", 0, 5, 6, 1337, 4242)
        if info:
            body += (
                struct.pack("<HH", 4 + 232, 2) + bytes(range(232)) + struct.pack("<HHB3x", 5, 11, 1)
            )
        return struct.pack("<IHHII", 16 + len(body), 20, 2, 0, 0) + body

    listener = one(10, ("127.0.0.1", 8080), ("0.0.0.0", 0), False)
    connection = one(1, ("127.0.0.1", 8080), ("127.0.0.1", 40000), True)
    done = struct.pack("<IHHIII", 20, 3, 2, 0, 0, 0)
    return [listener + done, connection + listener + done, connection]


def pages(pattern):
    return [path.read_bytes() for path in sorted((FIXTURES / "doctor").glob(pattern))]


def sets():
    """Whole pods: a healthy one, the same with each page of another one in the place of its own,
    and one of each other mesh."""
    healthy = {
        "circumstances": b"istio 1795535700 inside",
        "runtime": RUNTIME,
        "warming secrets": SECRETS,
        "usage": USAGE,
        "sockets": SOCKETS,
        "inbound clusters": INBOUND,
        "cluster types": INBOUND,
        **{
            name: (FIXTURES / "doctor" / f"healthy.{name}.{kind}").read_bytes()
            for name, kind in [
                ("server_info", "json"),
                ("stats", "txt"),
                ("listeners", "json"),
                ("routes", "json"),
                ("endpoints", "json"),
                ("certs", "json"),
            ]
        },
    }

    def put(of):
        return BETWEEN.join(of.get(name, b"") for name in ORDER)

    yield put(healthy)
    for name, pattern in [
        ("server_info", "*.server_info.json"),
        ("stats", "*.stats.txt"),
        ("listeners", "*.listeners.json"),
        ("routes", "*.routes.json"),
        ("certs", "*.certs.json"),
        ("agent metrics", "*.metrics.txt"),
    ]:
        for page in pages(pattern):
            # Small ones are tried many times more often: what the page needs beside it, and no
            # more.
            needed = {key: healthy[key] for key in ("circumstances", "server_info")}
            yield put(
                {
                    **needed,
                    **({"endpoints": healthy["endpoints"]} if name == "routes" else {}),
                    name: page,
                }
            )
    yield put(
        {
            **healthy,
            "circumstances": b"istio 1795535700 deep cut 1337",
            "stats later": healthy["stats"],
        }
    )
    for mesh in [b"linkerd", b"consul", b"kuma", b"envoy", b"none ambient"]:
        yield put(
            {
                "circumstances": mesh,
                "server_info": healthy["server_info"],
                "linkerd metrics": LINKERD,
                "sockets": SOCKETS,
            }
        )


def chances():
    """Where generators of choices start, always the same ones: what happens to a machine."""
    source = random.Random(15)
    return [source.randbytes(32) for _ in range(100)]


def of(target):
    """The seeds of one target."""
    meshes = [path.read_bytes() for path in sorted((FIXTURES / "meshes").glob("*.http"))]
    return {
        "http": HTTP + meshes,
        "sock-diag": messages(),
        "proc-net-tcp": SOCKETS.splitlines(keepends=True) + [SOCKETS],
        "process-stat": STATS_OF_PROCESSES,
        "executable": HEADS + [program(62), program(183)],
        "picker": PICKED,
        "json": PICKED + pages("healthy.routes.json"),
        "lines": [
            LINKERD,
            REQUESTS,
            b'a{b="c\\"}",d=""} 1.5e3 17\n# HELP x\n',
            b"PRE_INITIALIZING\n",
        ],
        "server-info": pages("*.server_info.json"),
        "init-dump": [INIT_DUMP],
        "runtime": [RUNTIME],
        "warming-secrets": [SECRETS],
        "certs": pages("*.certs.json"),
        "listeners": pages("*.listeners.json"),
        "routes": pages("*.routes.json"),
        "endpoints": pages("*.endpoints.json"),
        "clusters": [CLUSTERS, INBOUND],
        "stats": pages("*.stats.txt") + [REQUESTS],
        "usage": [USAGE],
        "agent-metrics": pages("*.metrics.txt"),
        "linkerd-metrics": [LINKERD],
        "doctor": list(sets()),
        "durations": [b"999h", b"250ms", b"1.5s", b"1m30s", b"0", b"0.000000001h", b"720h"],
        "moments": [
            b"2026-11-24T15:55:00Z",
            b"9999-12-31T23:59:60.999999999Z",
            b"0000-01-01T00:00:00+23:59",
        ],
        "urls": [
            b"http://127.0.0.1:15000/ready", b"http://localhost:15021/healthz/ready?x=1",
            b"http://[::1]:9901/ready", b"http://[::ffff:10.0.0.1]:80",
            b"unix:/run/admin.sock:/ready", b"unix:///a:b/c:/d:/e",
            b"http://10.0.0.1@127.0.0.1:80/",
        ],
        "signal-maps": [b"TERM:QUIT\nSIGUSR1:0", b"RTMIN+3:rtmax-1", b"15:9", b"HUP:TERM\nHUP:0"],
        "messages": [b"a\nb", b"\x1b[31mred\x1b[0m", "\u202eabc\u2028".encode()],
        "settings": SETTINGS,
        **dict.fromkeys(["lifecycle", "drain", "quit", "unsent", "wait"], chances()),
    }[target]


def write(target, folder):
    """Into this folder, which has nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, seed in enumerate(of(target)):
        (folder / f"{number:02}").write_bytes(seed)
