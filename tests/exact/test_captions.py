"""Captions in the pictures come through decoding, grid, scaling, encoding and joins byte for byte."""

from __future__ import annotations

from pathlib import Path

from exact.captioned import RATE, captioned, captions_of, cea_708, line_21
from exact.publisher import Publisher
from support.clips import clip
from support.presets import LADDER


def test_captions_are_kept(publish: Publisher, tmp_path: Path) -> None:
    """Chunks of a second begin between key frames, so each decodes pictures that belong to the one before."""
    source = captioned("captions.mp4")
    written = captions_of(source, tmp_path)
    assert len(written) == 132 and len(set(written)) == 132

    video = publish(source)

    video.check_pictures(range(132), RATE)
    for name in video.renditions:
        kept = captions_of(video.playlist(name), tmp_path)
        assert line_21(kept) == line_21(written), name
        assert cea_708(kept) == cea_708(written), name
    members = {item.instream_id: item for item in video.master.media if item.type == "CLOSED-CAPTIONS"}
    assert sorted(members) == ["CC1", "SERVICE1"]
    assert [members[name].autoselect for name in sorted(members)] == ["YES", "NO"]
    assert {item.stream_info.closed_captions for item in video.master.playlists} == {"cc"}
    assert {tuple(track["captions"]) for track in video.tracks("video")} == {("CC1", "SERVICE1")}
    assert video.video["source"]["skipped"] == []


def test_other_encoders(publish: Publisher, tmp_path: Path) -> None:
    """x265 keeps them, SVT-AV1 does not: that is told."""
    source = captioned("captions.mp4")
    rungs = [{key: value for key, value in rung.items() if key != "profile"} for rung in LADDER["rungs"][:1]]

    def ladder(encoder: str, preset: str, number: int) -> dict[str, object]:
        named = [rung | {"name": f"{rung['name']}-{number}"} for rung in rungs]
        return {"encoder": encoder, "encoder_preset": preset, "rungs": named}

    video = publish(
        source, preset={"ladders": [ladder("libx265", "ultrafast", 1), ladder("libsvtav1", "12", 2)]}
    )

    written, kept = captions_of(source, tmp_path), captions_of(video.playlist("half-1"), tmp_path)
    assert line_21(kept) == line_21(written) and cea_708(kept) == cea_708(written)
    assert [track["captions"] for track in video.tracks("video")] == [["CC1", "SERVICE1"], []]
    assert video.video["source"]["skipped"] == ["closed captions: the av01 renditions have lost them"]
    declared = {item.uri.split("/")[-2]: item.stream_info.closed_captions for item in video.master.playlists}
    assert declared == {"half-1": "cc", "half-2": None}


def test_there_are_none(publish: Publisher) -> None:
    video = publish(clip("clip.mp4", frames=30))

    assert {item.stream_info.closed_captions for item in video.master.playlists} == {"NONE"}
    assert [item for item in video.master.media if item.type == "CLOSED-CAPTIONS"] == []
