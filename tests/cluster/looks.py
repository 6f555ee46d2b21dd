"""Cases: check and doctor from an ephemeral container of meshim's own image, as `kubectl debug`
makes it."""
from cases import UNREACHABLE, case, pod, pod_of, server
from cluster import expect, until
from images import MESHIM

ON_LOOPBACK = "listens on 127.0.0.1 only, port 8080"


def debug(space, made, name, *words, target="app"):
    """The exit code and the text of meshim in that pod."""
    aimed = [f"--target={target}"] if target else []
    space.kubectl(
        "debug", made, f"--image={MESHIM}", *aimed, "-c", name, "--attach=false", "--quiet", "--",
        "/meshim", *words,
    )
    ended = space.ended(made, name)
    return ended["exitCode"], space.logs(made, name)


@case()
def check_and_doctor_by_debug_in_a_healthy_pod(space):
    space.apply(*server("shop", ["/meshim", "--", "/app", "serve", "0.0.0.0:8080"]))
    space.ready("shop")
    made = pod_of(space, "shop")
    for command in ("check", "doctor"):
        code, text = debug(space, made, f"by-{command}", command)
        expect(code == 0, f"{command} ended with {code}", text)


@case()
def an_application_on_loopback_is_an_error_by_exec_and_a_warning_by_debug(space):
    """By debug whose socket it is cannot be seen: the image's user is not the application's."""
    space.apply(*server("shop", ["/app", "serve", "127.0.0.1:8080"], native=True))
    space.explained(
        "deployment/shop",
        lambda: until(
            "the application listens", lambda: "listening" in space.logs("deployment/shop", "app")
        ),
    )
    made = pod_of(space, "shop")
    looked = space.kubectl("exec", made, "-c", "app", "--", "/meshim", "check", check=False)
    expect(
        looked.returncode == 1 and ON_LOOPBACK in looked.stdout, "check by exec did not find it",
        looked.stdout, looked.stderr,
    )
    for command in ("check", "doctor"):
        code, text = debug(space, made, f"by-{command}", command)
        expect(
            code == 0
            and "warning: the application (or another container's: its process could not be seen) "
                f"{ON_LOOPBACK}"
            in text,
            f"{command} ended with {code}",
            text,
        )


@case()
def wait_doctor_and_check_by_debug_say_why_a_pod_does_not_initialise(space):
    space.apply(
        pod("shop", ["/app", "serve", "0.0.0.0:8080"], native=True, annotations=UNREACHABLE)
    )
    started = lambda: "Envoy command" in space.logs("shop", "istio-proxy")
    space.explained("shop", lambda: until("the agent starts Envoy", started))
    for words in (["wait", "--timeout=20s"], ["doctor"], ["check"]):
        # Without a target: a container that has not been started cannot be one.
        code, text = debug(space, "shop", f"by-{words[0]}", *words, target=None)
        expect(
            code == 1 and "is istiod reachable from this pod?" in text,
            f"{words[0]} ended with {code}",
            text,
        )
