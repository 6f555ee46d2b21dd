"""Cases: Jobs end, in whichever way their application does, beside either kind of sidecar."""
from cases import UNREACHABLE, case, finished, job, pod_of
from cluster import expect

# How it is to end: what it runs, and its exit code. The last two rows are meshim's own.
WAYS = {
    "done": (["--", "/app", "end", "0"], 0),
    "failed": (["--", "/app", "end", "3"], 3),
    "killed": (["--supervise", "--", "/app", "end", "signal"], 137),
    "missing": (["--", "/no/such/program"], 127),
    "misused": (["--timeout=soon", "--", "/app", "end", "0"], 125),
}


def ends(space, native, *options):
    """Starts a Job for each way at once; each ends with its code, its sidecar with it."""
    for name, (words, _) in WAYS.items():
        space.apply(job(name, ["/meshim", *options, *words], native=native))
    wrong = []
    for name, (_, code) in WAYS.items():
        how = finished(space, name)
        made = pod_of(space, name)
        ended = space.ended(made, "app")
        sidecar = space.ended(made, "istio-proxy")
        if (how, ended["exitCode"]) != ("Complete" if code == 0 else "Failed", code) or not sidecar:
            wrong.append((name, how, ended))
        if code in (125, 127) and not ended.get("message"):
            wrong.append((name, "there is no termination message", ended))
    expect(not wrong, "a Job did not end as its application did", *wrong)


@case()
def jobs_beside_a_classic_sidecar_end_in_each_way(space):
    ends(space, False, "--quit=always")


@case()
def jobs_beside_a_native_sidecar_end_in_each_way(space):
    ends(space, True)


@case()
def a_job_whose_classic_sidecar_is_never_ready_ends_with_124_and_says_why(space):
    space.apply(
        job(
            "late", ["/meshim", "--quit=always", "--timeout=20s", "--", "/app", "end", "0"],
            native=False, annotations=UNREACHABLE,
        )
    )
    expect(finished(space, "late") == "Failed", "the Job is not failed")
    ended = space.ended(pod_of(space, "late"), "app")
    expect(
        ended["exitCode"] == 124
        and "is istiod reachable from this pod?" in ended.get("message", ""),
        "not 124, or the cause is not named",
        ended,
    )
