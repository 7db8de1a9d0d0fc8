"""Private Slurm cluster on this machine, for tests: one controller and several slurmd.

``python cluster.py FOLDER`` starts one and keeps it until Ctrl-C. Set ``SLURM_CONF`` to the printed
path to use it. All files are in the folder; nothing of the system's Slurm is read or changed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol", "squeue")
START_S = 120
"""Maximum time until all nodes are idle."""

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
MessageTimeout=20
SlurmdTimeout=30
KillWait=15
MinJobAge=300
OverTimeLimit=0
SchedulerParameters=batch_sched_delay=1,sched_interval=2
SchedulerType=sched/builtin
JobRequeue=1
SlurmdParameters=config_overrides
"""


class Cluster:
    """A running cluster.

    Args:
        folder: New folder for its configuration, logs and state.
        nodes: Number of nodes.
        cpus: Cores that each node offers; they are not tied to cores of this machine.
    """

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 1) -> None:
        self.folder, self.nodes = folder, [f"n{index}" for index in range(1, nodes + 1)]
        self.conf = folder / "slurm.conf"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {**os.environ, "SLURM_CONF": str(self.conf)}
        (folder / "state").mkdir(parents=True)
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True)
        host = socket.gethostname().partition(".")[0]
        text = CONF.format(host=host, user=user.stdout.strip(), folder=folder, controller=_port())
        for name in self.nodes:
            text += (
                f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={_port()} "
                f"CPUs={cpus} State=UNKNOWN\n"
            )
        text += "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
        self.conf.write_text(text)
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        for name in ("slurmctld", *self.nodes):
            (folder / f"{name}.out").touch()

    def start(self) -> None:
        """Start the daemons; wait until all nodes are idle."""
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        self._run(
            "munged",
            "munged",
            "--foreground",
            "--force",
            f"--socket={self.folder}/munge.socket",
            f"--key-file={key}",
            f"--pid-file={self.folder}/munge.pid",
            f"--log-file={self.folder}/munge.log",
            f"--seed-file={self.folder}/munge.seed",
        )
        _wait(lambda: (self.folder / "munge.socket").exists(), "munged has not started")
        self._run("slurmctld", "slurmctld", "-D", "-f", str(self.conf))
        for name in self.nodes:
            self.start_node(name)
        _wait(lambda: self.states() == dict.fromkeys(self.nodes, "idle"), "no idle nodes")

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self._run(name, "slurmd", "-D", "-f", str(self.conf), "-N", name)

    def _run(self, name: str, *command: str) -> None:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        with (self.folder / f"{name}.out").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [shutil.which(command[0], path=path) or command[0], *command[1:]],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, *command: str, check: bool = True) -> str:
        """Run a Slurm command against this cluster; return its output."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def states(self) -> dict[str, str]:
        """Return the state of each node."""
        text = self.run("sinfo", "-h", "-N", "-o", "%N %t", check=False)
        return dict(line.split() for line in text.splitlines())

    def kill_node(self, name: str) -> None:
        """Kill a node like a power failure: its daemon, its job steps and all their processes."""
        processes = self._processes_on(name)
        steps = {_parent(pid) for pid in processes}
        steps = {pid for pid in steps if _read(pid, "comm").startswith(b"slurmstepd")}
        for pid in [self.processes.pop(name).pid, *steps, *processes]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _processes_on(self, name: str) -> list[int]:
        """Return the ids of the processes of a node's jobs."""
        wanted = {f"SLURM_CONF={self.conf}".encode(), f"SLURMD_NODENAME={name}".encode()}
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if wanted <= set(_read(pid, "environ").split(b"\0"))]

    def take_down(self, name: str) -> None:
        """Kill a node and tell the controller, so that it requeues the node's jobs at once."""
        self.kill_node(name)
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=test")

    def stop(self) -> None:
        """Cancel all jobs and stop the daemons."""
        self.run("scancel", "--signal=KILL", "--full", "-u", str(os.getuid()), check=False)
        for name in self.nodes:
            if name in self.processes:
                self.kill_node(name)
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _read(pid: int, name: str) -> bytes:
    """Return a file of a process's folder in /proc; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    words = _read(pid, "stat").rpartition(b")")[2].split()
    return int(words[1]) if words else 0


def missing() -> str | None:
    """Return the names of the programs that are not installed, or None."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    names = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return ", ".join(names) or None


def _port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait(condition: Callable[[], bool], problem: str) -> None:
    until = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(problem)
        time.sleep(0.5)


if __name__ == "__main__":
    cluster = Cluster(Path(sys.argv[1]).resolve())
    ends = {signal.SIGINT, signal.SIGTERM}
    try:
        cluster.start()
        sys.stdout.write(f"{cluster.conf}\n")
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
    finally:
        cluster.stop()
