"""Slurm executor for oraclezoo. Light imports only."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_executors() -> list[Spec]:
    """Return the executor ``slurm``."""
    return [
        Spec(
            kind="executor",
            name="slurm",
            target="oraclezoo_slurm.executor:Slurm",
            summary="jobs of a Slurm cluster with a shared folder",
            options=(
                Option("partition", "str", None, "partition; by default the cluster's"),
                Option("account", "str", None, "account to charge"),
                Option("time", "int", 60, "time limit of a Slurm job in minutes", low=1),
                Option("cpus", "int", 1, "cores per job", low=1),
                Option("gpus", "int", 0, "GPUs per job", low=0),
                Option("memory", "str", None, "memory per job, e.g. 8GB; by default the cluster's"),
                Option(
                    "exclusive",
                    "bool",
                    False,
                    "allocate whole nodes, so that times are measured and ranked",
                ),
                Option("group", "int", 1, "trainings that one Slurm job runs in sequence", low=1),
                Option(
                    "parallel", "int", 256, "Slurm jobs of an array that run concurrently", low=1
                ),
                Option(
                    "signal_s",
                    "int",
                    90,
                    "seconds before the time limit at which a job saves its state and is requeued",
                    low=1,
                ),
                Option("timeouts", "int", 20, "requeues of a Slurm job after time limits", low=0),
                Option(
                    "setup", "str", None, "shell command before each job, e.g. module load cuda"
                ),
                Option("sbatch", "str", None, "more flags of sbatch, e.g. '--qos=low --nice=100'"),
                Option("poll", "float", 5.0, "seconds between calls of squeue", low=0.1),
            ),
            facts={"needs": "sbatch, srun and squeue; a folder that all nodes share"},
            source="https://slurm.schedmd.com and https://github.com/facebookincubator/submitit",
        )
    ]
