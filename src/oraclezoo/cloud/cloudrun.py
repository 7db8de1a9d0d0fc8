"""Cloud Run specs: a Job of ``run.googleapis.com/v1``, for ``gcloud run jobs replace``.

Cloud Run mounts Cloud Storage buckets as volumes and passes secrets from Secret Manager by
reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oraclezoo.cloud.job import ANY_USER, RENAMES, Job, Location, Platform, Rendered
from oraclezoo.errors import UsageError

DATA, OUTPUT = "/mnt/data", "/mnt/output"
_MAX_S, _MAX_GPU_S, _GPU_PREVIEW_S = 168 * 3600, 12 * 3600, 3600
_DRIVER = "gcsfuse.run.googleapis.com"


@dataclass(frozen=True, slots=True)
class Container:
    """Settings specific to Cloud Run.

    Attributes:
        cpus: Number of CPUs.
        memory: Memory, e.g. ``8Gi``; includes files written to buckets, which are buffered.
        gpu: Accelerator such as ``nvidia-l4``; "" for none.
        region: Region of the job.
    """

    cpus: int = 4
    memory: str = "16Gi"
    gpu: str = ""
    region: str = "us-central1"


def data_folder(data: Location) -> str:
    """Return the data folder in the container."""
    return data.below(DATA)


def output_folder(output: Location) -> str:
    """Return the output folder in the container."""
    return output.below(OUTPUT)


def runs_folder(output: Location) -> str:
    """Return the runs folder in the container."""
    return f"{output_folder(output)}/runs"


PLATFORM = Platform(
    "cloudrun",
    ("gs",),
    ("gs",),
    data_folder,
    output_folder,
    runs_folder,
    "store it in Secret Manager and use --secret VARIABLE=SECRET[:VERSION]",
)


def render(job: Job, container: Container) -> Rendered:
    """Render a job.

    Args:
        job: The job; its command uses :func:`data_folder` and :func:`output_folder`.
        container: Resources and region.

    Returns:
        A Job of version 1 of the Admin API, the format that gcloud reads and writes.

    Raises:
        UsageError: The time limit is longer than Cloud Run allows.
    """
    limit_s = _MAX_GPU_S if container.gpu else _MAX_S
    if job.time_limit_s > limit_s:
        gpu = " with a GPU" if container.gpu else ""
        raise UsageError(f"--time-limit: Cloud Run allows at most {limit_s // 3600}h{gpu}")
    task: dict[str, Any] = {
        "maxRetries": job.retries,
        "timeoutSeconds": job.time_limit_s,
        "containers": [_container(job, container)],
        "volumes": _volumes(job),
    }
    if job.service_account:
        task["serviceAccountName"] = job.service_account
    annotations = {"run.googleapis.com/execution-environment": "gen2"}
    if container.gpu:
        task["nodeSelector"] = {"run.googleapis.com/accelerator": container.gpu}
        annotations["run.googleapis.com/gpu-zonal-redundancy-disabled"] = "true"
    document = {
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": {"app": "oraclezoo"}},
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"taskCount": 1, "template": {"spec": task}},
            }
        },
    }
    submit = (
        f"gcloud run jobs replace {{file}} --region={container.region} && "
        f"gcloud run jobs execute {job.name} --region={container.region}"
    )
    return Rendered("Cloud Run", document, submit, _notes(job, container))


def _container(job: Job, container: Container) -> dict[str, Any]:
    limits = {"cpu": str(container.cpus), "memory": container.memory}
    if container.gpu:
        limits["nvidia.com/gpu"] = "1"
    env: list[dict[str, Any]] = [{"name": name, "value": text} for name, text in job.env.items()]
    env += [
        {
            "name": secret.variable,
            "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}},
        }
        for secret in job.secrets
    ]
    mounts = [{"name": "output", "mountPath": OUTPUT}]
    if job.data is not None:
        mounts.append({"name": "data", "mountPath": DATA})
    document: dict[str, Any] = {
        "image": job.image,
        "command": [job.words[0]],
        "args": list(job.words[1:]),
        "resources": {"limits": limits},
        "volumeMounts": mounts,
    }
    return {**document, "env": env} if env else document


def _volumes(job: Job) -> list[dict[str, Any]]:
    volumes = [_volume("output", job.output, f"implicit-dirs,{RENAMES},{ANY_USER}")]
    if job.data is not None:
        volumes.append(_volume("data", job.data, "implicit-dirs", read_only=True))
    return volumes


def _volume(
    name: str, location: Location, options: str, *, read_only: bool = False
) -> dict[str, Any]:
    attributes = {"bucketName": location.host, "mountOptions": options}
    csi = {"driver": _DRIVER, "readOnly": read_only, "volumeAttributes": attributes}
    return {"name": name, "csi": csi}


def _notes(job: Job, container: Container) -> tuple[str, ...]:
    notes = []
    if container.gpu and job.time_limit_s > _GPU_PREVIEW_S:
        notes.append("GPU tasks of more than an hour are a preview, and maintenance ends them.")
    account = job.service_account or "the project's default service account"
    secrets = " and secrets" if job.secrets else ""
    notes.append(f"The job runs as {account}, which must be able to use the buckets{secrets}.")
    return tuple(notes)
