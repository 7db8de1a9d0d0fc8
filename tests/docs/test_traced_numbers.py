"""Every number that a person typed into README and documentation has a source that agrees."""

from __future__ import annotations

import pytest

from helpers.number_sources import LEDGER, Entry, ledger, value_of
from helpers.page_numbers import numbers, pages

ENTRIES = ledger()
PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_every_number_on_a_page_has_a_source(name: str) -> None:
    """What is not made from a committed file is in docs/numbers.toml, or is not there."""
    missing = [str(number) for number in numbers(name, PAGES[name], ENTRIES)]
    assert not missing, "\n" + "\n".join(missing)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.says)
def test_every_source_gives_what_the_page_says(entry: Entry) -> None:
    """A page says what its source says now; an entry that no page needs goes."""
    assert bool(entry.source) != bool(entry.why), "an entry has a source, or says why it has none"
    assert entry.page in ("", *PAGES), f"there is no page {entry.page}"
    told = [name for name in PAGES if entry.page in ("", name)]
    found = any(entry.pattern.search(PAGES[name]) for name in told)
    assert found, f"{entry.page or 'no page'}: {entry.phrase()!r} is not there; see {LEDGER.name}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It reads 93.7 of a hundred.", ["93.7"]),
        ("Accuracy is 94% after 46 s on two cores.", ["94%", "46 s"]),
        ("a 3-fold gain, 2.5× faster,\nat 1,245 images/s", ["3-fold", "2.5×", "1,245 images/s"]),
        ("It takes 7 MB, 12 ms and 250 images; 17 of 20 fit.", ["7 MB", "12 ms", "250", "17"]),
        ("| size | time |\n|---|---|\n| 3 kB | 5 minutes |", ["3 kB", "5 minutes"]),
        ("```text\n$ x --lr 0.5\naccuracy 0.93\n```", ["0.5", "0.93"]),
        ("```console\n$ x --lr 0.5    # in 3 s\naccuracy 0.93\n```", ["3 s", "0.93"]),
        ("```python\nlr = 0.5  # gives 93%\n```", ["93%"]),
        ("Two runs of 3 seeds, `--lr 0.5`, [here](a-1.5.md), since 2024.", []),
        ("Python 3.11 to 3.13, version 2.0, on 28 x 28 pixels, arXiv 2205.09442.", []),
        ("1. One\n2. Two, for `oraclenet`\n\n% generated: speed-100\n", []),
    ],
)
def test_which_numbers_need_a_source(text: str, found: list[str]) -> None:
    """Units, decimals, hundreds and shares do where a reader is told them; typed code does not."""
    assert [number.text for number in numbers("page.md", text, [])] == found


def test_a_new_number_is_told_with_its_place_and_what_to_do() -> None:
    """A line names the page, its line and the number, and the ways out."""
    (line,) = map(str, numbers("docs/new.md", "# New\n\nIt is right in 93.7% of cases.\n", ENTRIES))
    assert line.startswith("docs/new.md:3: '93.7%' has no source: ")
    assert "docs/numbers.toml" in line


def test_a_source_covers_its_own_words_alone() -> None:
    """The same number in other words, or other figures in the same words, have no source."""
    entry = Entry("trains on {:,} images", source=("fact:dataset oracle-mnist-3k train",))
    page = "It trains on\n1,800 images.\nIt trains on 1,900 images, in 1,800 steps."
    assert [(n.line, n.text) for n in numbers("a.md", page, [entry])] == [
        (3, "1,900"),
        (3, "1,800"),
    ]


def test_sources_are_read() -> None:
    """Each form of source gives a value: a file's, a constant's, a fact, an option, a count."""
    assert value_of("fact:dataset oracle-mnist-3k validation") == 200
    assert value_of("option:prune --lr-scale") == 1.0
    assert value_of("oraclezoo.errors:InterruptedRunError/exit_code") == 130
    assert value_of("benchmarks/measurements/ranking.json:data/images") == 1000
    assert value_of("parameters:lenet5") == pytest.approx(0.43, abs=0.005)
