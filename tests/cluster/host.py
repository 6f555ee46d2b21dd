"""The node's namespaces, from outside.

Owns their first process, which ends everything in them when it ends, the control groups, and the
folder of logs and keys.
"""
import os, pathlib, shutil, subprocess, sys, time

from cluster import Cluster, Failed

HERE = pathlib.Path(__file__).resolve().parent
GROUPS = pathlib.Path("/sys/fs/cgroup")
# Of version 1 their folders, of version 2 their names in cgroup.controllers.
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


class Node:
    """`with Node(built, archives) as node`: a cluster of one node with these images."""

    def __init__(self, built, archives):
        self.work, self.programs, self.archives = built / "run", built / "bin", archives
        self.group, self.unshare = f"meshim-cluster-{os.getpid()}", None

    def __enter__(self):
        began = time.monotonic()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        try:
            self.groups()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        self.took = time.monotonic() - began
        return self

    def start(self):
        apart = [
            "unshare", "--net", "--mount", "--propagation=private", "--pid", "--ipc", "--uts",
            "--fork", "--kill-child", "--mount-proc",
        ]
        command = [
            *apart, sys.executable, HERE / "node.py", self.work, self.programs, f"/{self.group}",
            *self.archives,
        ]
        self.errors = (self.work / "node.log").open("w+")
        self.unshare = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True, start_new_session=True,
        )
        # Its own waits have deadlines; it ends where one passes.
        if self.unshare.stdout.readline().strip() != "ready":
            raise Failed(
                f"the node did not come up; logs are in {self.work}:\n"
                f"{(self.work / 'node.log').read_text()[-2000:]}"
            )
        children = pathlib.Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        self.first = children.read_text().split()[0]
        inside = ["nsenter", f"--net=/proc/{self.first}/ns/net"]
        kubectl = [self.programs / "kubectl", "--kubeconfig", self.work / "kubeconfig"]
        self.cluster = Cluster([*inside, *kubectl], self.first)

    def folders(self):
        """Of version 1 each controller's own, of version 2 the one."""
        if (GROUPS / "cgroup.controllers").exists():
            return [GROUPS / self.group]
        return [
            folder / self.group
            for folder in GROUPS.iterdir()
            if not folder.is_symlink() and (folder / "cgroup.procs").exists()
        ]

    def groups(self):
        """The node's own; a machine that cannot have them cannot have a node."""
        one = GROUPS / "cgroup.controllers"
        there = (
            one.read_text().split() if one.exists() else [path.name for path in GROUPS.iterdir()]
        )
        missing = [name for name in CONTROLLERS if name not in there]
        if missing:
            lacking = f"{GROUPS} has no control groups of {' '.join(missing)}"
            raise Failed(f"{lacking}: no kubelet can run here")
        try:
            self.make_groups()
        except OSError as error:
            lacking = "control groups cannot be made here, which a kubelet needs"
            raise Failed(f"{lacking}: {error}") from None

    def make_groups(self):
        for folder in self.folders():
            folder.mkdir()
            for setting in ("cpuset.cpus", "cpuset.mems"):
                # Of version 1, where a new group has neither, and takes no process.
                if (folder / "cgroup.clone_children").exists() and (folder / setting).exists():
                    (folder / setting).write_text((folder.parent / setting).read_text())

    def __exit__(self, *_):
        if self.unshare:
            self.unshare.stdin.close()
            try:
                self.unshare.wait(20)
            except subprocess.TimeoutExpired:
                self.unshare.kill()  # and, by --kill-child, the first process
                self.unshare.wait(20)
        for folder in self.folders():
            self.remove(folder)

    def remove(self, folder):
        """Groups are removed once the kernel has seen their last process off."""
        end = time.monotonic() + 20
        while folder.exists() and time.monotonic() < end:
            for path, _, _ in os.walk(folder, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    time.sleep(0.05)
