"""What the page's form for a new video needs: the DAG's params, the presets, and what the user may do."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from airflow.models.serialized_dag import SerializedDagModel
from sqlalchemy.orm import Session

from vod_operators.errors import InvalidInputError
from vod_operators.media.presets.catalog import load_preset, preset_names
from vod_operators.media.presets.model import Preset
from vod_operators.page.models import Me, PresetText
from vod_operators.pipeline import DAG_ID
from vod_operators.settings import VodSettings


def me(session: Session, settings: VodSettings, *, can_act: bool) -> Me:
    """What the page needs to know of the user and of the deployment."""
    return Me(
        can_act=can_act,
        uploads=settings.uploads_uri is not None,
        edges=list(settings.edges),
        presets=_presets(settings),
        form=_params(session),
    )


def _presets(settings: VodSettings) -> list[PresetText]:
    """The presets that can be used; the others fail a run with the reason."""
    found = []
    for name in preset_names(settings.presets_dir):
        with suppress(InvalidInputError):
            preset = load_preset(name, settings.presets_dir)
            title, text = preset.title, preset.description
            found.append(PresetText(name=name, title=title, text=text, aims=_aims(preset)))
    return found


def _aims(preset: Preset) -> list[str]:
    rungs = [rung for ladder in preset.ladders for rung in ladder.rungs]
    asked = sorted({rung.quality.vmaf for rung in rungs if rung.quality})
    aims = ["keeps HDR"] if any(ladder.dynamic_range == "hdr" for ladder in preset.ladders) else []
    if any(ladder.by_title for ladder in preset.ladders):
        aims.append("chooses renditions by title")
    if asked:
        spread = f"{asked[0]:g}" if len(asked) == 1 else f"{asked[0]:g} to {asked[-1]:g}"
        aims.append(f"aims at VMAF {spread}")
    if (least := preset.min_vmaf) is not None:
        verb = "refuses" if least.on_miss == "refuse" else "warns"
        aims.append(f"{verb} below VMAF {least.vmaf:g}")
    return aims


def _params(session: Session) -> dict[str, dict[str, Any]]:
    """JSON schema of each param; empty until Airflow has read the DAG."""
    dag = SerializedDagModel.get_dag(DAG_ID, session=session)
    if dag is None:
        return {}
    found = {}
    for name in dag.params:
        param = dag.params.get_param(name).dump()
        schema = {key: value for key, value in param["schema"].items() if key != "$schema"}
        found[name] = schema | {"description": param["description"], "default": param["value"]}
    return found
