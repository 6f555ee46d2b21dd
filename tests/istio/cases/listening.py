"""Listen addresses: `check`'s verdict beside what traffic finds, in every way of interception."""
import json

from mesh import ECHO
from pod import HERE, in_ipv6
from process import expect, until

from .case import case

SERVER = ("/usr/bin/python3", HERE / "server.py")


def serving(pod, *addresses):
    server = pod.application(*SERVER, *addresses)
    until("the server", 20, lambda: "app: listening" in server.text())
    return server


def check(server, *options):
    """The exit code and the findings' codes, by `meshim check` in the server's own container."""
    done = server.beside(server.pod.mesh.meshim, "check", "--output=json", *options)
    try:
        return done.returncode, {finding["code"] for finding in json.loads(done.stdout)["findings"]}
    except ValueError:
        return done.returncode, {done.stdout + done.stderr}


def verdicts(mesh, pod, addresses):
    """An application on each of these addresses in turn: whether a mesh client reaches it there,
    and whether `check` says so."""
    for address, reached in addresses.items():
        server = serving(pod, f"{address}:8080")
        # A push may still be on its way to the one side or the other.
        until(
            f"{address}: traffic {'arrives' if reached else 'does not arrive'}",
            30,
            lambda: (mesh.status("cli", ECHO) == 200) == reached,
        )
        code, found = check(server)
        expect(
            (code == 0) == reached,
            f"{address}: check ends with {code}, and traffic "
            f"{'arrives' if reached else 'does not arrive'}",
            found,
        )
        server.end()
    return f"{len(addresses)} addresses"


# Where the proxy hands inbound traffic to the pod's own address, as Istio does from 1.10 on.
TO_THE_POD = {"0.0.0.0": True, "127.0.0.1": False, "10.66.0.10": True, "[::]": True}
TO_LOOPBACK = {"0.0.0.0": True, "127.0.0.1": True, "10.66.0.10": False}


@case
def listen_addresses_are_judged_as_traffic_finds_them(mesh):
    pod = mesh.pod("app").start()
    mesh.pod("cli").start()
    return verdicts(mesh, pod, TO_THE_POD)


@case
def with_tproxy_listen_addresses_are_judged_as_traffic_finds_them(mesh):
    pod = mesh.pod("app", mode="TPROXY").start()
    mesh.pod("cli").start()
    return verdicts(mesh, pod, TO_THE_POD)


@case
def with_native_nftables_listen_addresses_are_judged_as_traffic_finds_them(mesh):
    pod = mesh.pod("app", rules=["--native-nftables"]).start()
    mesh.pod("cli").start()
    return verdicts(mesh, pod, TO_THE_POD)


INGRESS = """apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: ingress, namespace: shop }
spec:
  workloadSelector: { labels: { app: shop } }
  ingress:
  - port: { number: 8080, protocol: HTTP, name: http }
    defaultEndpoint: "%s"
  egress: [{ hosts: ["*/*"] }]
"""


@case
def a_sidecars_ingress_moves_the_verdict_with_the_traffic(mesh):
    pod = mesh.pod("app").start()
    mesh.pod("cli").start()
    for endpoint, target, addresses in (
        ("127.0.0.1:8080", "127.0.0.1:8080", TO_LOOPBACK),
        ("0.0.0.0:8080", "10.66.0.10:8080", TO_THE_POD),
    ):
        mesh.apply("ingress", INGRESS % endpoint)
        until(
            f"the proxy hands 8080 to {target}",
            40,
            lambda: f"inbound|8080||::{target}::" in pod.clusters(),
        )
        verdicts(mesh, pod, addresses)
    # A Unix socket takes the place of the port.
    mesh.apply("ingress", INGRESS % "unix:///tmp/shop.sock")
    until(
        "the proxy hands 8080 to the socket",
        40,
        lambda: (
            "inbound|8080||::/tmp/shop.sock" in pod.clusters()
            or "inbound|8080||::unix" in pod.clusters()
        ),
    )
    server = serving(pod, "0.0.0.0:8080")
    until("no traffic arrives on the port", 30, lambda: mesh.status("cli", ECHO) == 503)
    _, found = check(server)
    expect("port-goes-to-unix-socket" in found, "the Unix socket is not told", found)


@case
def without_interception_the_proxy_holds_the_applications_port(mesh):
    pod = mesh.pod("app", mode="NONE").start()
    until("the proxy's outbound listener", 30, lambda: mesh.listens("app", 8080))
    refused = pod.application(*SERVER, "0.0.0.0:8080")
    expect(
        refused.wait() != 0 and "in use" in refused.text(),
        "the application got its port",
        refused.text(),
    )
    for address in ("0.0.0.0:8080", "127.0.0.1:8080"):
        said = pod.application(
            mesh.meshim, f"--listen={address}", "--", *SERVER, address, name="said"
        )
        expect(said.wait() == 125, f"--listen={address} is not refused", said.text())
        expect(
            "8080" in said.text() and "hands inbound" not in said.text(),
            "the reason is wrong",
            said.text(),
        )
    # The pod's own address is free, and nothing intercepts what comes to it.
    server = serving(pod, f"{pod.address}:8080")
    expect(
        mesh.status("srv", f"http://{pod.address}:8080/") == 200, "a plain client does not reach it"
    )
    code, found = check(server)
    expect("port-held-by-proxy" in found and code == 0, f"check ends with {code}", found)


def both_families(mesh, pod):
    return tuple(
        mesh.status("srv", f"http://{host}:8080/")
        for host in (pod.address, f"[{in_ipv6(pod.address)}]")
    )


@case
def with_dual_stack_an_application_of_one_family_is_told(mesh):
    mesh.istiod.kill()
    mesh.start_istiod(ISTIO_DUAL_STACK="true")
    pod = mesh.pod(
        "app", ipv6=True, rules=["--dual-stack"], environment={"ISTIO_DUAL_STACK": "true"}
    ).start()
    for address, seen, told in (("0.0.0.0", (200, 503), True), ("[::]", (200, 200), False)):
        server = serving(pod, f"{address}:8080")
        until(f"{address}: {seen} by IPv4 and IPv6", 30, lambda: both_families(mesh, pod) == seen)
        code, found = check(server)
        expect(
            code == 0 and ("listens-on-one-family-only" in found) == told,
            f"{address}: check ends with {code}",
            found,
        )
        expect(
            "ipv6-bypasses-proxy" not in found,
            f"{address}: IPv6 is said to bypass the proxy",
            found,
        )
        server.end()


@case
def without_dual_stack_ipv6_is_said_to_bypass_the_proxy(mesh):
    pod = mesh.pod("app", ipv6=True).start()
    mesh.apply("strict", STRICT)
    server = serving(pod, "[::]:8080")
    # The proxy refuses plain text, and IPv6 does not meet it.
    until("refused by IPv4, served by IPv6", 40, lambda: both_families(mesh, pod) == (0, 200))
    code, found = check(server)
    expect(code == 0 and "ipv6-bypasses-proxy" in found, f"check ends with {code}", found)


STRICT = """apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
"""


@case
def a_port_that_is_excluded_is_dead_for_mesh_clients_and_told(mesh):
    pod = mesh.pod(
        "app", annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}
    ).start()
    mesh.pod("cli").start()
    server = serving(pod, "0.0.0.0:8080")
    until("a mesh client gets 503", 30, lambda: mesh.status("cli", ECHO) == 503)
    expect(
        mesh.status("srv", f"http://{pod.address}:8080/") == 200, "a plain client does not reach it"
    )
    _, found = check(server)
    expect("port-excluded-from-mesh" in found, "it is not told", found)
