"""Airflow operators that turn a source video into HLS."""

__version__ = "0.1.0"
