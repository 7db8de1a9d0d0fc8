"""Kubernetes specs: a Job of ``batch/v1``, for ``kubectl apply``.

Claims and NFS exports are mounted. GKE's CSI driver mounts Cloud Storage buckets. S3 buckets are
copied before the job starts, since their driver does not support inline volumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oraclezoo.cloud.job import ANY_USER, GROUP, RENAMES, Job, Location, Platform, Rendered

DATA, OUTPUT = "/mnt/data", "/mnt/output"
S3_IMAGE = "amazon/aws-cli:2.15.0"
GRACE_S = 120
"""Seconds between SIGTERM and SIGKILL, during which a training run saves its state."""

_GCS = "gcsfuse.csi.storage.gke.io"
_GCS_READS = "implicit-dirs"
_GCS_WRITES = f"{_GCS_READS},{RENAMES},{ANY_USER}"
"""Mount options; ``implicit-dirs`` shows prefixes as folders."""


@dataclass(frozen=True, slots=True)
class Pod:
    """Settings specific to Kubernetes.

    Attributes:
        cpus: Number of CPUs.
        memory: Memory, e.g. ``8Gi``.
        gpu: Whether to request one NVIDIA GPU.
        node_selector: Labels that the node must have.
        namespace: Namespace of the job; "" for that of the current context.
        pull_secret: Name of the secret for the image's registry; "" for none.
    """

    cpus: int = 4
    memory: str = "8Gi"
    gpu: bool = False
    node_selector: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    pull_secret: str = ""


def data_folder(data: Location) -> str:
    """Return the data folder in the container."""
    return DATA if data.scheme in ("nfs", "s3") else data.below(DATA)


def output_folder(output: Location) -> str:
    """Return the output folder in the container."""
    return OUTPUT if output.scheme == "nfs" else output.below(OUTPUT)


def runs_folder(output: Location) -> str:
    """Return the runs folder in the container."""
    return f"{output_folder(output)}/runs"


PLATFORM = Platform(
    "kubernetes",
    ("pvc", "nfs", "gs", "s3"),
    ("pvc", "nfs", "gs"),
    data_folder,
    output_folder,
    runs_folder,
    "create a Secret and use --secret VARIABLE=SECRET:KEY",
)


def render(job: Job, pod: Pod) -> Rendered:
    """Render a job.

    Args:
        job: The job; its command uses :func:`data_folder` and :func:`output_folder`.
        pod: Resources, node selector and namespace.

    Returns:
        A ``batch/v1`` Job, with notes on what the cluster must provide.
    """
    labels = {"app.kubernetes.io/name": "oraclezoo", "app.kubernetes.io/instance": job.name}
    metadata: dict[str, Any] = {"name": job.name}
    if pod.namespace:
        metadata["namespace"] = pod.namespace
    template: dict[str, Any] = {"labels": labels}
    if "gs" in _schemes(job):
        template["annotations"] = {"gke-gcsfuse/volumes": "true"}
    document = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, "labels": labels},
        "spec": {
            "backoffLimit": job.retries,
            "activeDeadlineSeconds": job.time_limit_s,
            "podFailurePolicy": {"rules": [_not_retried("oraclezoo")]},
            "template": {"metadata": template, "spec": _pod_spec(job, pod)},
        },
    }
    return Rendered("Kubernetes", document, "kubectl apply -f {file}", _notes(job, pod))


def _schemes(job: Job) -> set[str]:
    return {job.output.scheme, *([job.data.scheme] if job.data else ())}


def _not_retried(container: str) -> dict[str, Any]:
    """Return the failure rule: do not retry after a usage error or a failed verification."""
    codes = {"containerName": container, "operator": "In", "values": [2, 3]}
    return {"action": "FailJob", "onExitCodes": codes}


def _pod_spec(job: Job, pod: Pod) -> dict[str, Any]:
    volumes, mounts = [_volume("output", job.output)], [_mount("output", OUTPUT)]
    starters: list[dict[str, Any]] = []
    if job.data is not None:
        volumes.append(_volume("data", job.data, read_only=True))
        mounts.append(_mount("data", DATA, read_only=True))
        if job.data.scheme == "s3":
            starters.append(_download(job, job.data))
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_S,
        "automountServiceAccountToken": False,
        # claims become writable for the user of the images, which is not root
        "securityContext": {"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"},
    }
    if job.service_account:
        spec |= {"serviceAccountName": job.service_account, "automountServiceAccountToken": True}
    if pod.pull_secret:
        spec["imagePullSecrets"] = [{"name": pod.pull_secret}]
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    if pod.gpu:
        spec["tolerations"] = [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        ]
    if starters:
        spec["initContainers"] = starters
    spec["containers"] = [_container(job, pod, mounts)]
    spec["volumes"] = volumes
    return spec


def _container(job: Job, pod: Pod, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    amounts = {"cpu": str(pod.cpus), "memory": pod.memory}
    limits = {**amounts, "nvidia.com/gpu": "1"} if pod.gpu else amounts
    # PyTorch counts the cores of the node, not those of the container
    env = {"OMP_NUM_THREADS": str(pod.cpus), **job.env}
    return {
        "name": "oraclezoo",
        "image": job.image,
        "command": list(job.words),
        "env": [{"name": name, "value": value} for name, value in env.items()] + _secrets(job),
        "resources": {"requests": amounts, "limits": limits},
        "securityContext": _security(),
        "volumeMounts": mounts,
    }


def _security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _secrets(job: Job) -> list[dict[str, Any]]:
    return [
        {
            "name": secret.variable,
            "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}},
        }
        for secret in job.secrets
    ]


def _download(job: Job, data: Location) -> dict[str, Any]:
    """Return the container that copies a bucket's folder before the job starts."""
    container: dict[str, Any] = {
        "name": "download",
        "image": S3_IMAGE,
        "args": ["s3", "sync", "--no-progress", str(data), DATA],
        "securityContext": _security(),
        "volumeMounts": [_mount("data", DATA)],
    }
    if job.secrets:
        container["env"] = _secrets(job)
    return container


def _mount(name: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    mount: dict[str, Any] = {"name": name, "mountPath": path}
    return {**mount, "readOnly": True} if read_only else mount


def _volume(name: str, location: Location, *, read_only: bool = False) -> dict[str, Any]:
    if location.scheme == "s3":
        return {"name": name, "emptyDir": {}}
    if location.scheme == "pvc":
        claim: dict[str, Any] = {"claimName": location.host}
        return {
            "name": name,
            "persistentVolumeClaim": {**claim, "readOnly": True} if read_only else claim,
        }
    if location.scheme == "nfs":
        source: dict[str, Any] = {"server": location.host, "path": f"/{location.path}"}
        return {"name": name, "nfs": {**source, "readOnly": True} if read_only else source}
    options = _GCS_READS if read_only else _GCS_WRITES
    attributes = {"bucketName": location.host, "mountOptions": options}
    csi = {"driver": _GCS, "readOnly": read_only, "volumeAttributes": attributes}
    return {"name": name, "csi": csi}


def _notes(job: Job, pod: Pod) -> tuple[str, ...]:
    notes = []
    schemes = _schemes(job)
    if "gs" in schemes:
        notes.append(
            "gs:// needs GKE with the Cloud Storage FUSE CSI driver, and a service account that "
            "may use the buckets."
        )
    if "s3" in schemes:
        notes.append("The download needs an AWS identity: a service account or secrets.")
    if "pvc" in schemes:
        notes.append("The claims must exist in the namespace of the job.")
    if pod.gpu:
        notes.append("The GPU needs NVIDIA's device plugin in the cluster.")
    notes.append(
        "Exit statuses 2 (usage) and 3 (verification) end the job at once; others are retried."
    )
    return tuple(notes)
