"""Locations, names, durations and pairs: what a platform can mount, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.cloud.job import Job, Location, duration_s, job_name, pairs
from oraclezoo.cloud.secret import Secret
from oraclezoo.errors import UsageError

ALL = ("gs", "s3", "nfs", "pvc")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("gs://bucket/a/b", "/mnt/a/b"),
        ("gs://bucket/", "/mnt"),
        ("s3://my.bucket/a", "/mnt/a"),
        ("nfs://10.0.0.2/exports/a", "/mnt/exports/a"),
        ("pvc://claim", "/mnt"),
    ],
)
def test_a_location_is_parsed(text: str, path: str) -> None:
    """Its path is below the mount, with one slash between folders."""
    location = Location.parse(text, ALL)
    assert location.below("/mnt") == path
    assert str(location) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        *("bucket/a", "http://bucket/a", "gs:/bucket", "gs://", "gs://a b/c", "gs://B/c"),
        *("gs://bucket/../c", "gs://bucket/a b", "gs://bucket/$(id)", "gs://bucket/a?b=c"),
        *("pvc://Claim", "nfs://server", "nfs://server/", "pvc://claim/./a", "gs://bucket/a#b"),
    ],
)
def test_other_locations_are_refused(text: str) -> None:
    """Nothing that a shell or a mount would read in another way gets through."""
    with pytest.raises(UsageError, match=r"mounts|form|letters|missing"):
        Location.parse(text, ALL)


def test_a_scheme_that_the_platform_cannot_mount_is_refused() -> None:
    """The message lists those that it can."""
    with pytest.raises(UsageError, match="mounts pvc://CLAIM/PATH or nfs://SERVER/PATH"):
        Location.parse("s3://bucket/a", ("pvc", "nfs"))


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    """The error may be logged."""
    with pytest.raises(UsageError, match="remove the credentials") as error:
        Location.parse("nfs://me:hunter2@server/a", ALL)
    assert "hunter2" not in str(error.value)


@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=4))
def test_every_title_makes_a_name(title: str, words: list[str]) -> None:
    """A name is a DNS label that the record accepts."""
    name = job_name(title, words)
    Job(name, "image:1", ("oraclezoo",), Location("pvc", "claim", ""))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("4h", 14_400), ("2d", 172_800)]
)
def test_durations(text: str, seconds: int) -> None:
    """Seconds, minutes, hours and days."""
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1h", "1.5h", "4 h", "1w", "h", "٣h"])
def test_other_durations_are_refused(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(UsageError, match="90m, 4h or 2d"):
        duration_s(text)


def test_pairs_are_unique() -> None:
    """A value may contain an equals sign."""
    assert pairs(["A=b=c", "B="], "--env") == {"A": "b=c", "B": ""}
    for texts, message in ((["A"], "KEY=VALUE"), (["=a"], "KEY=VALUE"), (["A=1", "A=2"], "twice")):
        with pytest.raises(UsageError, match=message):
            pairs(texts, "--env")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Name"}, "small letters"),
        ({"name": "a" * 64}, "up to 63"),
        ({"image": "image; rm -rf /"}, "container image"),
        ({"image": "image@sha256:abc"}, "container image"),
        ({"env": {"A": "1"}, "secrets": (Secret("A", "s", "k"),)}, "both --env and --secret"),
    ],
)
def test_a_job_is_checked(changes: dict[str, object], message: str) -> None:
    """Names, images and variables."""
    job = {
        "name": "name",
        "image": "image@sha256:" + "a" * 64,
        "words": ("oraclezoo",),
        "output": Location("pvc", "claim", ""),
    }
    Job(**job)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        Job(**{**job, **changes})  # type: ignore[arg-type]
