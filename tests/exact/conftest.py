"""What the exact tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from exact.publisher import Publisher

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
    "test_sound_codecs.py::test_every_sample_is_where_it_was[4]",
    "test_sound_codecs.py::test_a_sources_frames_are_passed_through[eac3-ts]",
    "test_sound_codecs.py::test_atmos_is_passed_through",
    "test_sound_codecs.py::test_frames_that_cannot_be_taken_are_encoded[late]",
    "test_sound_codecs.py::test_he_aac_is_refused_where_no_encoder_has_it",
    "test_text.py::test_tracks_of_the_source[two.mp4]",
    "test_text.py::test_files_of_the_request",
    "test_captions.py::test_captions_are_kept",
    "test_storyboard.py::test_every_picture_is_that_of_its_time",
    "test_loudness.py::test_loud_sound_is_turned_down_and_stays_in_step",
    "test_damage.py::test_damage_is_concealed_and_told[ts-packets-lost]",
    "test_field_metadata.py::test_chapters_are_data[mp4]",
    "test_field_geometry.py::test_orientation[mirrored-90-clip.mp4]",
    "test_field_geometry.py::test_crop_of_matroska[64-48]",
    "test_field_carriers.py::test_pictures[qtrle-rgb]",
    "test_field_carriers.py::test_sound[truehd-mkv]",
    "test_field_carriers.py::test_sound_alone[adpcm-ms-wav]",
    "test_field_scan.py::test_fields[asp-tff-avi]",
    "test_field_scan.py::test_mixed_scan[progressive-tff-mpeg2]",
    "test_field_scan.py::test_matroska_declares_a_wrong_rate[20000000]",
    "test_field_streams.py::test_the_programme_is_that_of_the_picture[radio-first-0]",
    "test_field_streams.py::test_mp4_with_an_empty_track[clip.mp4-first]",
    "test_field_streams.py::test_audio_description_is_never_the_default[clip.mkv-description]",
    "test_field_streams.py::test_mono_tracks_of_a_master_are_stereo[clip.mxf-4]",
    "test_field_streams.py::test_ambisonics_become_stereo[clip.mkv-left]",
    "test_field_streams.py::test_still_picture_is_held_for_the_length_of_the_sound[mp4]",
    "test_field_changes.py::test_other_pids_in_mid_file[streams]",
    "test_field_changes.py::test_two_sample_descriptions[profile]",
    "test_field_changes.py::test_every_picture_is_called_a_key_frame[a-real-one-in-60]",
    "test_field_damage.py::test_matrix[ycgco]",
    "test_field_damage.py::test_a_tool_that_fails_is_no_damage[234-filter]",
    "test_field_damage.py::test_recording_that_begins_in_mid_gop[mpeg2-ts-0.2]",
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
