"""`meshim doctor` on real Istio resources: each pitfall is found while it is there, and nothing
in a healthy mesh."""

import json

from mesh import ECHO, REVIEWS
from pod import HERE
from process import Failed, expect, until

from .case import REJECTED, case
from .listening import STRICT, serving

HTTP_ROUTE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: reviews, namespace: shop }}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  http:
  - {0}
"""
TO_REVIEWS = "route: [{ destination: { host: reviews.shop.svc.cluster.local } }]"
EMPTY_SUBSET = """---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec:
  host: reviews.shop.svc.cluster.local
  subsets: [{ name: v9, labels: { version: v9 } }]
"""
POLICY = (
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: nothing, "
    "namespace: shop }\nspec: "
)
SNIFFED = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: auto, namespace: shop }
spec:
  hosts: [auto.shop.svc.cluster.local]
  addresses: [10.66.1.7]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 8081, name: auto, protocol: "" }]
  workloadSelector: { labels: { app: shop } }
"""


def route(text):
    return HTTP_ROUTE.format(text)


def to_subset(name):
    return route(
        "route: [{ destination: { host: reviews.shop.svc.cluster.local, subset: %s } }]" % name
    )


# A pitfall: its code, the resources that make it, what the finding must name, who sees it by a
# request, and the status.
PITFALLS = [
    ("route-to-missing-cluster", to_subset("v2-canary"), "v2-canary", ("app", REVIEWS), 503),
    (
        "route-to-missing-cluster",
        route("route: [{ destination: { host: nosuch.shop.svc.cluster.local } }]"),
        "nosuch.shop",
        ("app", REVIEWS),
        503,
    ),
    ("route-to-empty-cluster", to_subset("v9") + EMPTY_SUBSET, "v9", ("app", REVIEWS), 503),
    (
        "fault-injected",
        route(
            "{ fault: { abort: { percentage: { value: 100 }, httpStatus: 418 } }, %s }" % TO_REVIEWS
        ),
        "reviews",
        ("app", REVIEWS),
        418,
    ),
    (
        "retries-unsafe",
        route("{ retries: { attempts: 3, perTryTimeout: 1s, retryOn: 5xx }, %s }" % TO_REVIEWS),
        "reviews",
        ("app", REVIEWS),
        200,
    ),
    ("authorization-denies-all", POLICY + "{}\n", "AuthorizationPolicy", ("cli", ECHO), 403),
    (
        "authorization-denies-all",
        POLICY + "{ action: DENY, rules: [{}] }\n",
        "nothing",
        ("cli", ECHO),
        403,
    ),
    (
        "authorization-denies-all",
        POLICY + "{ action: CUSTOM, provider: { name: nosuch }, rules: [{}] }\n",
        "nosuch",
        ("cli", ECHO),
        403,
    ),
    ("port-protocol-sniffed", SNIFFED, "8081", ("cli", ECHO), 200),
]


def doctor(server, *options):
    done = server.beside(server.pod.mesh.meshim, "doctor", "--output=json", *options)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise Failed(f"doctor said no JSON: {done.stdout}{done.stderr}") from None


def found(server, code, named=""):
    return [
        finding
        for finding in doctor(server)["findings"]
        if finding["code"] == code and named in json.dumps(finding)
    ]


# These need istio.stats, which a stock Envoy does not have.
ON_METRICS = {"requests-failed-in-proxy", "plaintext-accepted", "unknown-destination"}


def blind(report):
    return {reason["judge"] for reason in report["not_seen"]}


def healthy_mesh(mesh, **how):
    """A pod whose application serves, one that calls it, and one that it calls."""
    pod = mesh.pod("app", **how).start()
    mesh.pod("cli").start()
    upstream = mesh.application("srv", "/usr/bin/python3", HERE / "server.py", "0.0.0.0:9080")
    until("the upstream", 20, lambda: "app: listening" in upstream.text())
    server = serving(pod, "0.0.0.0:8080", "0.0.0.0:9000")
    until(
        "calls arrive",
        30,
        lambda: (mesh.status("cli", ECHO), mesh.status("app", REVIEWS)) == (200, 200),
    )
    return server


@case
def doctor_finds_nothing_above_info_in_a_healthy_mesh(mesh):
    server = healthy_mesh(mesh)
    # For ten seconds a proxy's configuration may be on its way; then nobody is blind but for want
    # of Istio's own metrics.
    report = until(
        "every judge looks",
        40,
        lambda: next((seen for seen in [doctor(server)] if blind(seen) <= ON_METRICS), None),
    )
    worse = [finding for finding in report["findings"] if finding["severity"] != "info"]
    expect(not worse, "a healthy mesh has findings", json.dumps(worse, indent=1))
    quiet = {finding["code"] for finding in report["findings"]}
    expect("plaintext-accepted" in quiet, "the mesh is PERMISSIVE, and that is not told", quiet)
    expect(not quiet & {code for code, *_ in PITFALLS}, "a healthy mesh has pitfalls", quiet)


@case
def doctor_finds_each_pitfall_as_a_real_resource(mesh):
    server = healthy_mesh(mesh)
    for code, resources, named, (who, url), status in PITFALLS:
        mesh.apply("pitfall", resources)
        until(f"doctor finds {code} ({named})", 40, lambda: found(server, code, named))
        until(
            f"{code} ({named}): a request gets {status}",
            20,
            lambda: mesh.status(who, url) == status,
        )
        mesh.withdraw("pitfall")
        until(f"{code} ({named}) is gone again", 40, lambda: not found(server, code, named))
    return f"{len(PITFALLS)} resources"


@case
def doctor_finds_a_configuration_that_the_proxy_rejects(mesh):
    server = healthy_mesh(mesh)
    mesh.apply("pitfall", REJECTED)
    until("doctor finds it", 40, lambda: found(server, "config-rejected"))
    expect(mesh.status("cli", ECHO) == 200, "the proxy does not serve on with what it has")


@case
def doctor_tells_permissive_from_strict(mesh):
    server = healthy_mesh(mesh)
    plain = f"http://{server.pod.address}:8080/"
    for mode, status in (("STRICT", 0), ("PERMISSIVE", 200)):
        mesh.apply("mode", STRICT.replace("STRICT", mode))
        until(
            f"{mode}: plaintext-accepted is right",
            40,
            lambda: bool(found(server, "plaintext-accepted")) == (status == 200),
        )
        until(
            f"{mode}: a plain client gets {status}", 20, lambda: mesh.status("srv", plain) == status
        )
        expect(mesh.status("cli", ECHO) == 200, f"{mode}: a mesh client is refused")


OTHERS = """---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: s{0}, namespace: other }}
spec:
  hosts: [s{0}.other.svc.cluster.local]
  addresses: [10.67.{1}.{2}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{ number: 80, name: http, protocol: HTTP }}]
  endpoints: [{{ address: 10.66.0.30 }}]
"""
OWN_NAMESPACE = """apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: default, namespace: shop }
spec: { egress: [{ hosts: ["./*"] }] }
"""


@case
def doctor_finds_the_configuration_of_a_whole_mesh_until_a_sidecar_narrows_it(mesh):
    server = healthy_mesh(mesh)
    mesh.apply(
        "others",
        "".join(OTHERS.format(number, number // 250, number % 250 + 1) for number in range(1_100)),
    )
    until(
        "doctor finds it",
        60,
        lambda: [
            finding
            for finding in found(server, "config-of-whole-mesh")
            if finding["severity"] == "warning"
        ],
    )
    mesh.apply("narrow", OWN_NAMESPACE)
    until("a Sidecar mends it", 60, lambda: not found(server, "config-of-whole-mesh"))


@case
def doctor_finds_annotations_that_do_not_do_what_they_seem_to(mesh):
    annotations = {
        "traffic.sidecar.istio.io/excludeOutboundPort": "9080",
        "sidecar.istio.io/rewriteAppHTTPProbers": "false",
    }
    server = healthy_mesh(mesh, annotations=annotations)
    expect(
        found(server, "annotation-unknown", "excludeOutboundPorts"),
        "a misspelt annotation is not told",
        doctor(server),
    )
    expect(found(server, "probes-not-rewritten"), "probes are not told", doctor(server))


@case
def doctor_finds_a_lost_control_plane_and_a_certificate_that_nobody_renews(mesh):
    server = healthy_mesh(mesh, environment={"SECRET_TTL": "20s"})
    expect(
        not found(server, "certificate") and not found(server, "control-plane-lost"),
        "a healthy mesh has them",
        doctor(server),
    )
    mesh.istiod.kill()
    until("doctor finds that istiod is lost", 60, lambda: found(server, "control-plane-lost"))
    until(
        "doctor finds an expired certificate",
        60,
        lambda: [
            one for one in found(server, "certificate", "expired") if one["severity"] == "error"
        ],
    )
    # Nothing else says so: the pod stays ready.
    expect(server.pod.is_ready(), "the agent knows, too")
