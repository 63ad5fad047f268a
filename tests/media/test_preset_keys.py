"""Fields of a preset about keys that make no sense together are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.presets import PRESET
from vod_operators.media.plan import fingerprint
from vod_operators.media.presets.model import Preset


def preset(**fields: Any) -> Preset:
    return Preset.model_validate({"name": "p"} | PRESET | fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"protection": ["widevine"]}, "needs encryption cbcs or cenc, which encrypt samples, not none"),
        (
            {"encryption": "aes-128", "protection": ["fairplay"]},
            "protection: fairplay: needs encryption cbcs",
        ),
        ({"encryption": "cbcs", "protection": ["widevine", "widevine"]}, "a system is named twice"),
        ({"encryption": "cbcs", "protection": []}, "at least 1 item"),
        (
            {"encryption": "cbcs", "protection": ["marlin"]},
            "'fairplay', 'widevine', 'playready' or 'clearkey'",
        ),
        (
            {"encryption": "cenc", "protection": ["fairplay", "widevine"]},
            "Apple's players do not decrypt cenc",
        ),
        ({"encryption": "cenc"}, "cenc needs at least one of widevine, playready and clearkey"),
        ({"encryption": "aes-128", "several_keys": True}, "several_keys: needs encryption cbcs or cenc"),
        ({"key_rotation": {"segments": 10, "keys": 2}}, "key_rotation: needs encryption cbcs or cenc"),
        ({"encryption": "cbcs", "key_rotation": {"segments": 10, "keys": 1}}, "greater than or equal to 2"),
        ({"encryption": "cbcs", "key_rotation": {"keys": 2}}, "segments"),
        ({"encryption": "cenc", "protection": ["widevine"], "container": "ts"}, "cenc is a scheme of fMP4"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        preset(**fields)


def test_presets_that_do_not_use_the_fields_keep_their_fingerprint() -> None:
    """Work and results of before still count."""
    written = preset(encryption="cbcs").model_dump(mode="json")
    assert not written.keys() & {"protection", "several_keys", "key_rotation"}
    used = preset(encryption="cbcs", several_keys=True, protection=["fairplay"])
    assert fingerprint(used) != fingerprint(preset(encryption="cbcs"))
