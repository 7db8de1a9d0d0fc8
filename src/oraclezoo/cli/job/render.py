"""``oraclezoo job render``: print the spec of a job for a platform. Submits nothing."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.cli._shared.app import App, pass_app
from oraclezoo.cli._shared.examples import example
from oraclezoo.cli.job import common


@click.group("render")
def command() -> None:
    """Print the spec of a job that benchmarks or trains recipes.

    The spec is for you to read, edit and submit. Options of 'oraclezoo bench' (with --train, of
    'oraclezoo train') follow after '--'.
    """


@command.command(
    "kubernetes",
    cls=common.Command,
    epilog=example("oraclezoo job render kubernetes tiny --image zoo --output pvc://claim/out"),
)
@common.common
@common.retries
@common.secrets("VAR=SECRET:KEY")
@common.resources("8Gi")
@click.option("--gpu", is_flag=True, help="Request one NVIDIA GPU.")
@click.option(
    "--node-selector",
    multiple=True,
    metavar="LABEL=VALUE",
    help="Run on nodes with this label; repeatable.",
)
@click.option("--namespace", default="", metavar="NAME", help="Namespace of the job.")
@click.option(
    "--image-pull-secret", default="", metavar="NAME", help="Secret of the image's registry."
)
@pass_app
def kubernetes(
    app: App,
    /,
    cpus: int,
    memory: str,
    gpu: bool,
    node_selector: tuple[str, ...],
    namespace: str,
    image_pull_secret: str,
    **shared: Any,
) -> None:
    """Print a Kubernetes Job.

    --data: pvc://CLAIM/PATH, nfs://SERVER/PATH, gs://BUCKET/PREFIX (GKE) or s3://BUCKET/PREFIX.
    --output: the same, except s3.
    """
    from oraclezoo.cloud import kubernetes as platform
    from oraclezoo.cloud.job import pairs

    request = common.Request(**shared)
    prepared = common.prepare(app, request, platform.PLATFORM, gpu=gpu)
    labels = pairs(node_selector, "--node-selector")
    pod = platform.Pod(cpus, memory, gpu, labels, namespace, image_pull_secret)
    common.emit(request, prepared, platform.render(prepared.job, pod))


@command.command(
    "vertex",
    cls=common.Command,
    epilog=example("oraclezoo job render vertex tiny --image zoo --output gs://bucket/out"),
)
@common.common
@click.option("--no-retries", is_flag=True, help="Do not restart the job after a failure.")
@click.option(
    "--machine-type", default="", metavar="TYPE", help="Machine type, e.g. g2-standard-8."
)
@click.option("--gpu", default="", metavar="TYPE", help="GPU, e.g. NVIDIA_L4.")
@click.option("--spot", is_flag=True, help="Use Spot capacity.")
@click.option("--region", default="us-central1", show_default=True, metavar="NAME", help="Region.")
@click.option(
    "--network", default="", metavar="NAME", help="Full name of a peered network, for nfs://."
)
@pass_app
def vertex(
    app: App,
    /,
    no_retries: bool,
    machine_type: str,
    gpu: str,
    spot: bool,
    region: str,
    network: str,
    **shared: Any,
) -> None:
    """Print a CustomJobSpec of Vertex AI.

    --data and --output: gs://BUCKET/PREFIX or nfs://SERVER/PATH.
    """
    from oraclezoo.cloud import vertex as platform

    request = common.Request(**shared, retries=0 if no_retries else 1)
    prepared = common.prepare(app, request, platform.PLATFORM, gpu=bool(gpu))
    machine = platform.Machine(machine_type, gpu, spot, region, network)
    rendered = platform.render(prepared.job, machine, copy_runs=request.train)
    common.emit(request, prepared, rendered)


@command.command(
    "cloudrun",
    cls=common.Command,
    epilog=example("oraclezoo job render cloudrun tiny --image zoo --output gs://bucket/out"),
)
@common.common
@common.retries
@common.secrets("VAR=SECRET[:VERSION]")
@common.resources("16Gi")
@click.option("--gpu", default="", metavar="TYPE", help="GPU, e.g. nvidia-l4.")
@click.option("--region", default="us-central1", show_default=True, metavar="NAME", help="Region.")
@pass_app
def cloudrun(app: App, /, cpus: int, memory: str, gpu: str, region: str, **shared: Any) -> None:
    """Print a Job of Cloud Run.

    --data and --output: gs://BUCKET/PREFIX.
    """
    from oraclezoo.cloud import cloudrun as platform

    request = common.Request(**shared)
    prepared = common.prepare(app, request, platform.PLATFORM, gpu=bool(gpu))
    container = platform.Container(cpus, memory, gpu, region)
    common.emit(request, prepared, platform.render(prepared.job, container))
