"""The one file that Airflow's plugin loader executes when this folder is its plugins folder."""

from vod_operators.plugin import VodPlugin

__all__ = ["VodPlugin"]
