"""What all tests share: an environment with an Airflow home of their own, and the fixtures of ``support``.

Airflow reads its configuration when it is first imported, so the environment is set here, before any
test module is.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path

from support.tools import ROOT

_HOME = Path(tempfile.mkdtemp(prefix="vod-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

_FOLDERS = [ROOT / "tests", Path(tempfile.gettempdir())]
if "EXACT_CLIPS" in os.environ:
    _FOLDERS.append(Path(os.environ["EXACT_CLIPS"]).absolute())

for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_", "VOD_"))]:
    del os.environ[_name]  # a developer's own deployment and credentials are not under test
os.environ.update(
    {
        "AIRFLOW_HOME": str(_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME / 'airflow.db'}",
        # Without credentials botocore would look for an instance role over the network.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(_HOME / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(_HOME / "no-aws-credentials"),
        "NO_PROXY": "127.0.0.1,localhost",
        # What the tests' requests name: clips, what tests make, servers of theirs. Buckets are added.
        "VOD_SOURCE_ALLOW": json.dumps(["public", "127.0.0.1", *(folder.as_uri() for folder in _FOLDERS)]),
        "VOD_CALLBACK_ALLOW": json.dumps(["public", "127.0.0.1"]),
        # Of clips of a second, measuring the quality takes longer than all else. Its own tests turn it on.
        "VOD_CERTIFICATE": "false",
    }
)

import airflow  # noqa: E402, F401 - its first import takes the loggers from pytest's ``caplog``

pytest_plugins = [
    "support.s3_servers",
    "support.stores",
    "support.cms",
    "support.dag_runs",
    "support.airflows",
    "support.players",
]
