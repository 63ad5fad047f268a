"""Whether what was cut is what the file gives."""

from __future__ import annotations

from vod_operators.media.trial import read_hashes, same_pictures, same_sound


def test_all_pictures_of_the_file_must_come_in_their_order() -> None:
    assert same_pictures(["a", "b"], ["a", "b", "c"])
    assert same_pictures(["b", "c"], ["a", "b", "c"]), "an edit list may hide the first one"
    assert same_pictures(["a", "b"], ["a", "a", "b"])
    assert not same_pictures(["a", "b"], ["a"])
    assert not same_pictures(["a", "b"], ["a", "x", "b"])
    assert not same_pictures(["a"], [])


def test_samples_may_have_priming_before_them() -> None:
    assert same_sound(b"cd", b"abcdef")
    assert not same_sound(b"cd", b"abce")


def test_hashes_are_the_last_column() -> None:
    assert read_hashes(b"#tb 0: 1/25\n0, 0, 0, 1, 13824, 0badc0de\n0, 1, 1, 1, 13824, feed\n") == [
        "0badc0de",
        "feed",
    ]
