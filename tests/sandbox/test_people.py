"""Made-up people: the same seed is the same file, every number is nobody's, and the shares are as announced."""

import re
from itertools import islice
from pathlib import Path

import pytest

from clarion.sandbox import people


def test_the_same_seed_makes_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "same", "other")]
    fates = [people.write(file, 50, seed=seed) for file, seed in zip(files, (1, 1, 2), strict=True)]
    one, same, other = (file.read_bytes() for file in files)

    assert (one == same, fates[0] == fates[1], one == other) == (True, True, False)


def test_every_number_is_one_that_nobody_has() -> None:
    text = "".join(row.text for row in people.rows(2_000))

    numbers = {re.sub(r"\D", "", found) for found in re.findall(r"\+7 \([\d) -]+|\b[78]\d{10}\b", text)}
    assert len(numbers) > 1_900
    assert all(re.fullmatch(r"[78]000\d{7}", number) for number in numbers)


def test_no_two_people_share_a_number() -> None:
    assert len({people.phone_of(number) for number in range(5_000)}) == 5_000


def test_a_row_is_as_often_so_as_is_said() -> None:
    fates = [row.fate for row in people.rows(5_000)]

    meant = {fate: sum(share for share, its in people.SHARES.values() if its == fate) for fate in set(fates)}
    assert sum(meant.values()) == 1_000
    for fate, share in meant.items():
        assert fates.count(fate) == pytest.approx(5 * share, abs=45)


def test_there_are_no_more_people_than_numbers() -> None:
    with pytest.raises(ValueError, match="numbers for 10000000 people"):
        list(islice(people.rows(people.MOST_PEOPLE + 1), 1))
