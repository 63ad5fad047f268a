"""What the exact tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from exact.published import Publisher

QUICK = {
    "test_rates.py::test_rate_is_kept[30000/1001]",
    "test_rates.py::test_matroska_rounds_to_milliseconds[24000/1001]",
    "test_rates.py::test_variable_rate_is_one_pass[phone]",
    "test_codecs.py::test_gop[one-key-frame]",
    "test_ladders.py::test_ladder[hevc]",
    "test_ladders.py::test_ladder[av1]",
    "test_ladders.py::test_length[1-av1]",
    "test_ladders.py::test_a_picture_that_an_encoder_cannot_take_is_refused",
    "test_ladders.py::test_an_encoder_that_this_host_lacks_is_refused_before_anything_is_done",
    "test_transport.py::test_transport_stream[30000/1001]",
    "test_encryption.py::test_aes_128[fmp4]",
    "test_encryption.py::test_cbcs[h264]",
    "test_encryption.py::test_no_connection_is_refused",
    "test_lengths.py::test_length[one-frame]",
    "test_lengths.py::test_length[one-frame-over-two-chunks]",
    "test_containers.py::test_container[mpeg-ts]",
    "test_containers.py::test_trimmed_start[from-0.6-open-gop]",
    "test_pictures.py::test_rotation[90-landscape]",
    "test_pictures.py::test_interlaced_becomes_a_picture_a_field[h264-tff-25]",
    "test_sound.py::test_track[starts-late]",
    "test_sound.py::test_surround_is_mixed_down[centre-ac3]",
    "test_sound.py::test_audio_only[m4a]",
    "test_text.py::test_tracks_of_the_source[two.mp4]",
    "test_text.py::test_files_of_the_request",
    "test_captions.py::test_captions_are_kept",
    "test_storyboard.py::test_every_picture_is_that_of_its_time",
    "test_loudness.py::test_loud_sound_is_turned_down_and_stays_in_step",
    "test_damage.py::test_damage_is_concealed_and_told[ts-packets-lost]",
}
"""One of each kind, for every run of the tests; the others are marked ``exact``."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        quick = item.nodeid.rpartition("exact/")[2] in QUICK or item.path.stem == "test_measure"
        if item.path.parent == here and not quick:
            item.add_marker(pytest.mark.exact)


@pytest.fixture
def publish(stores: Path, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """Runs the operators on a source: ``publish(path)``."""
    return Publisher(stores, monkeypatch)
