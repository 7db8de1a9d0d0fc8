"""A spec names secrets and never contains one."""

from __future__ import annotations

import pytest

from oraclezoo.cloud.secret import Secret, refuse_values
from oraclezoo.errors import UsageError

# assembled, so that no scanner mistakes these for real ones
VALUES = {
    "hugging face": "hf_" + "aB3" * 8,
    "github": "ghp_" + "aB3" * 10,
    "fine-grained": "github_pat_" + "a1" * 15,
    "gitlab": "glpat-" + "a1" * 10,
    "aws": "AKIA" + "ABCD" * 4,
    "google": "AIza" + "aB3" * 11,
    "openai": "sk-" + "aB3" * 8,
    "pypi": "pypi-" + "aB3" * 8,
    "slack": "xoxb-" + "12345-" * 3,
    "jwt": ".".join(("eyJ" + "hbGci" * 3, "eyJ" + "zdWIi" * 3, "abc")),
    "wandb": "0123456789abcdef" * 2 + "01234567",
    "url": "http" + "://user:" + "hunter2@example.org/x",
    "pem": "-----BEGIN RSA " + "PRIVATE KEY-----",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_that_looks_like_a_secret_is_refused(value: str) -> None:
    """In a variable of any name, in a word, and inside a word; the message does not repeat it."""
    for words, env in (((), {"A": value}), ((value,), {}), ((f"x={value}",), {})):
        with pytest.raises(UsageError, match=r"looks like a secret.*use a Secret") as error:
            refuse_values(words, env, "use a Secret")
        assert value not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["WANDB_API_KEY", "HF_TOKEN", "PASSWORD", "DB_PASSWD", "my_secret", "AWS_SECRET_ACCESS_KEY"],
)
def test_a_variable_with_the_name_of_a_secret_is_refused(name: str) -> None:
    """Whatever its value; an empty one is none."""
    with pytest.raises(UsageError, match=f"--env {name} looks like a secret"):
        refuse_values((), {name: "x"}, "")
    refuse_values((), {name: ""}, "")


def test_an_option_with_the_name_of_a_secret_is_refused() -> None:
    """As trackers have them."""
    with pytest.raises(UsageError, match=r"'wandb\.api_key' looks like a secret"):
        refuse_values(("--tracker-option", "wandb.api_key=hunter2"), {}, "")


def test_plain_words_are_no_secrets() -> None:
    """Recipes, digests of images, and names that contain the words as parts."""
    digest = "image@sha256:" + "0123456789abcdef" * 4
    words = ("-s", "optimizer.lr=0.1", "-s", "summary=monkeys and tokens", digest, "--keyboard=a")
    refuse_values(words, {"TOKENIZERS_PARALLELISM": "false", "KEYS": "a", "A": "sk-short"}, "")


def test_a_commit_is_no_secret() -> None:
    """It has the form of a key; its name tells."""
    commit = "0123456789abcdef" * 2 + "01234567"
    refuse_values((f"--commit={commit}",), {"GIT_COMMIT": commit, "SOURCE_SHA": commit}, "")
    with pytest.raises(UsageError, match="looks like a secret"):
        refuse_values((), {"OTHER": commit}, "")


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B"])
def test_names_of_variables_are_checked(name: str) -> None:
    """A platform would refuse them later."""
    with pytest.raises(UsageError, match="name of an environment variable"):
        refuse_values((), {name: "x"}, "")


def test_references_are_parsed() -> None:
    """Kubernetes wants a key; Secret Manager has the newest version by default."""
    assert Secret.parse("A=name:key", "kubernetes") == Secret("A", "name", "key")
    assert Secret.parse("A=name", "cloudrun") == Secret("A", "name", "latest")
    assert Secret.parse("A=name:3", "cloudrun") == Secret("A", "name", "3")


@pytest.mark.parametrize("platform", ["kubernetes", "cloudrun"])
@pytest.mark.parametrize(
    "text",
    ["A", "A=", "=name:key", "A=na me:key", "A=name:", "1=name:key", *VALUES.values()],
)
def test_other_references_are_refused(platform: str, text: str) -> None:
    """A value in the place of a name is not repeated."""
    with pytest.raises(UsageError, match="never its value") as error:
        Secret.parse(text, platform)
    assert text not in str(error.value) or len(text) < 3


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_in_place_of_a_name_is_refused(value: str) -> None:
    """Also where the name's pattern would allow it."""
    for platform in ("kubernetes", "cloudrun"):
        with pytest.raises(UsageError, match="never its value") as error:
            Secret.parse(f"A={value}", platform)
        assert value not in str(error.value)
