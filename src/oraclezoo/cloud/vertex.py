"""Vertex AI specs: a CustomJobSpec, for ``gcloud ai custom-jobs create --config``.

Vertex AI mounts all buckets that the job may read below ``/gcs``. Custom jobs cannot refer to
stored secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from shlex import join
from typing import Any

from oraclezoo.cloud.job import Job, Location, Platform, Rendered
from oraclezoo.errors import UsageError, nearest

SCRATCH = "/tmp/oraclezoo"
"""Folder on the machine's disk, which is lost when the job ends."""

GPUS = (
    *("NVIDIA_TESLA_P4", "NVIDIA_TESLA_T4", "NVIDIA_TESLA_P100", "NVIDIA_TESLA_V100"),
    *("NVIDIA_L4", "NVIDIA_TESLA_A100", "NVIDIA_A100_80GB", "NVIDIA_RTX_PRO_6000"),
    *("NVIDIA_H100_80GB", "NVIDIA_H100_MEGA_80GB", "NVIDIA_H200_141GB", "NVIDIA_B200"),
)
"""GPU types of the API that support CUDA; their machine types depend on the region."""

MACHINE, GPU_MACHINE = "n1-standard-4", "g2-standard-4"
_MAX_S = 7 * 86400


@dataclass(frozen=True, slots=True)
class Machine:
    """Settings specific to Vertex AI.

    Attributes:
        machine_type: Machine type; "" for a small one that supports the GPU, if known.
        gpu: GPU type; "" for none.
        spot: Whether to use Spot capacity, which is cheaper but may be preempted.
        region: Region of the job.
        network: Full name of the peered network, required for NFS.
    """

    machine_type: str = ""
    gpu: str = ""
    spot: bool = False
    region: str = "us-central1"
    network: str = ""


def data_folder(data: Location) -> str:
    """Return the data folder in the container."""
    return "/mnt/nfs/data" if data.scheme == "nfs" else data.below(f"/gcs/{data.host}")


def output_folder(output: Location) -> str:
    """Return the output folder in the container."""
    return "/mnt/nfs/output" if output.scheme == "nfs" else output.below(f"/gcs/{output.host}")


def runs_folder(output: Location) -> str:
    """Return the runs folder in the container.

    A run is saved by renaming a folder, which fails in a bucket without hierarchical namespace. In
    this case, the runs folder is on the machine's disk.
    """
    return f"{output_folder(output)}/runs" if output.scheme == "nfs" else f"{SCRATCH}/runs"


PLATFORM = Platform(
    "vertex",
    ("gs", "nfs"),
    ("gs", "nfs"),
    data_folder,
    output_folder,
    runs_folder,
    "let the program read it from Secret Manager, as the job's service account",
)


def render(job: Job, machine: Machine, *, copy_runs: bool = False) -> Rendered:
    """Render a job.

    Args:
        job: The job; its command uses the folders from the functions above.
        machine: Machine, GPU and region.
        copy_runs: Copy the runs to the output at the end if they are on the machine's disk.

    Returns:
        A CustomJobSpec.

    Raises:
        UsageError: The time limit, GPU or network is not valid for Vertex AI.
    """
    mounts = _nfs_mounts(job, machine)
    if job.time_limit_s > _MAX_S:
        raise UsageError("--time-limit: Vertex AI allows at most 7d")
    command, arguments = [job.words[0]], list(job.words[1:])
    if copy_runs and job.output.scheme == "gs":
        place = f"{output_folder(job.output)}/runs"
        copying = [join(["mkdir", "-p", place]), join(["cp", "-R", f"{SCRATCH}/runs/.", place])]
        command, arguments = ["sh", "-c"], [" && ".join([join(job.words), *copying])]
    container: dict[str, Any] = {"imageUri": job.image, "command": command, "args": arguments}
    if job.env:
        container["env"] = [{"name": name, "value": value} for name, value in job.env.items()]
    pool: dict[str, Any] = {
        "machineSpec": _machine_spec(machine),
        "replicaCount": 1,
        "containerSpec": container,
    }
    if mounts:
        pool["nfsMounts"] = mounts
    document: dict[str, Any] = {"workerPoolSpecs": [pool], "scheduling": _scheduling(job, machine)}
    if job.service_account:
        document["serviceAccount"] = job.service_account
    if machine.network:
        document["network"] = machine.network
    submit = (
        f"gcloud ai custom-jobs create --region={machine.region} --display-name={job.name} "
        "--config={file}"
    )
    return Rendered("Vertex AI", document, submit, _notes(job, copy_runs))


def _machine_spec(machine: Machine) -> dict[str, Any]:
    if not machine.gpu:
        return {"machineType": machine.machine_type or MACHINE}
    if machine.gpu not in GPUS:
        raise UsageError(f"unknown GPU '{machine.gpu}'{nearest(machine.gpu, GPUS)}")
    if not machine.machine_type and machine.gpu != "NVIDIA_L4":
        raise UsageError(f"--gpu {machine.gpu} requires --machine-type, one that has this GPU")
    return {
        "machineType": machine.machine_type or GPU_MACHINE,
        "acceleratorType": machine.gpu,
        "acceleratorCount": 1,
    }


def _scheduling(job: Job, machine: Machine) -> dict[str, Any]:
    scheduling: dict[str, Any] = {"timeout": f"{job.time_limit_s}s"}
    if job.retries:
        scheduling["restartJobOnWorkerRestart"] = True
    else:
        scheduling["disableRetries"] = True
    if machine.spot:
        scheduling["strategy"] = "SPOT"
    return scheduling


def _nfs_mounts(job: Job, machine: Machine) -> list[dict[str, Any]]:
    places = {"data": job.data, "output": job.output}
    mounts = [
        {"server": place.host, "path": f"/{place.path}", "mountPoint": name}
        for name, place in places.items()
        if place is not None and place.scheme == "nfs"
    ]
    if mounts and not machine.network:
        raise UsageError("nfs:// on Vertex AI requires --network, a peered VPC network")
    return mounts


def _notes(job: Job, copy_runs: bool) -> tuple[str, ...]:
    notes = []
    if job.output.scheme == "gs":
        kept = (
            "are copied to the bucket when the training is done"
            if copy_runs
            else "are lost with it, so a retry trains all seeds again"
        )
        notes.append(f"Runs are on the machine's disk and {kept}; nfs:// keeps them.")
    account = job.service_account or "the Vertex AI Custom Code Service Agent"
    notes.append(f"The job runs as {account}, which must be able to use the data and output.")
    return tuple(notes)
