"""Cases: requests lost in a rolling update under load, with a client in the mesh and one
outside."""
import json

from cases import case, pod, server
from cluster import expect, until

EVERY = "25ms"


def loads(space, url):
    """Starts both clients; they ask until they are stopped."""
    clients = {"mesh": {}, "plain": {"labels": {"sidecar.istio.io/inject": "false"}}}
    for name, how in clients.items():
        space.apply(
            pod(
                name,
                ["/meshim", "--absent-after=2s", "--", "/app", "load", url, EVERY]
                if name == "mesh"
                else ["/app", "load", url, EVERY],
                native=True,
                **how,
            )
        )
    for name in clients:
        space.explained(
            name,
            lambda: until(
                f"the first answer to {name}", lambda: "answered" in space.logs(name, "app")
            ),
        )
    return clients


def stop(space, client):
    """How its requests ended: {status or error: how many}."""
    space.kubectl("exec", client, "-c", "app", "--", "/app", "stop")
    space.ended(client, "app")
    return json.loads(space.logs(client, "app").strip().splitlines()[-1])


def updated(space, native, options, ms, annotations=None):
    """How many of all requests did not get their answer in a rolling update: (lost, all) of each
    client."""
    space.apply(
        *server(
            "shop", ["/meshim", *options, "--", "/app", "serve", "0.0.0.0:8080"], replicas=2,
            native=native, annotations=annotations,
        )
    )
    space.ready("shop")
    clients = loads(space, f"http://shop/?ms={ms}")
    old = [each["metadata"]["name"] for each in space.get("pod", app="shop")]
    space.kubectl("rollout", "restart", "deployment/shop")
    space.ready("shop")
    for name in old:
        space.gone(name)
    ended = {client: stop(space, client) for client in clients}
    return {
        client: (sum(how.values()) - how.get("200", 0), sum(how.values()), how)
        for client, how in ended.items()
    }


def told(lost):
    return "; ".join(f"{client} {one[0]} of {one[1]} lost" for client, one in lost.items())


def loses_none(space, native, ms, annotations=None):
    lost = updated(
        space, native, ["--drain", "--quit=on-stop", "--absent-after=2s"], ms, annotations
    )
    expect(
        all(one[0] == 0 and one[1] > 100 for one in lost.values()),
        "requests were lost with --drain",
        lost,
    )
    return told(lost)


@case()
def a_rolling_update_with_drain_loses_no_request(space):
    return loses_none(space, True, 300)


@case()
def a_rolling_update_without_drain_loses_requests(space):
    """What the case before is worth."""
    lost = updated(space, True, [], 300)
    expect(
        sum(one[0] for one in lost.values()) > 0,
        "nothing was lost: the load does not tell them apart",
        lost,
    )
    return told(lost)


@case(default=False)
def a_rolling_update_beside_classic_sidecars_with_drain_loses_no_request(space):
    return loses_none(space, False, 300)


@case(default=False)
def a_rolling_update_of_requests_of_a_tenth_of_a_second_loses_none(space):
    return loses_none(space, True, 100)


@case(default=False)
def a_rolling_update_of_requests_of_3_s_loses_none(space):
    return loses_none(space, True, 3000)


@case(default=False)
def a_rolling_update_of_requests_of_8_s_loses_none(space):
    return loses_none(space, True, 8000)


@case(default=False)
def a_rolling_update_of_requests_of_8_s_loses_none_beside_classic_sidecars_that_drain_long_enough(
    space,
):
    return loses_none(
        space, False, 8000, {"proxy.istio.io/config": "terminationDrainDuration: 25s"}
    )


@case(default=False, labels={})
def a_rolling_update_without_a_sidecar_loses_none(space):
    return loses_none(space, None, 300)
