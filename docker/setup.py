"""Prepares a deployment for docker-compose.yaml before Airflow starts. Both commands may be repeated.

``setup.py secrets`` runs first and needs no other service. It generates the secrets once, copies those that
each service needs into that service's volume, and sets the owner of empty volumes.
``setup.py init`` needs the database and the store. It creates tables, buckets, connections and the pool.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

FOLDER = Path("/var/lib/vod/secrets")
GROUP_FOLDER = Path("/var/lib/vod/groups")
VOLUMES = (Path("/var/lib/vod/s3"), Path("/var/lib/vod/cache"), Path("/var/lib/vod/work"))
ORIGINALS, UPLOADS, TEMP, RESULTS = BUCKETS = ("vod-originals", "vod-uploads", "vod-tmp", "vod-results")

GROUPS = {
    "airflow": (
        *("sql_alchemy_conn", "fernet_key", "api_secret_key", "jwt_secret"),
        *("broker_url", "result_backend"),
    ),
    "worker": ("broker_url", "result_backend"),
    "database": ("postgres_password",),
    "broker": ("redis.conf", "redis_password"),
    # ``upload_key`` is for the CMS; people read it here.
    "store": ("s3.json", "upload_key"),
    "init": (
        *("sql_alchemy_conn", "fernet_key", "api_secret_key", "jwt_secret", "broker_url", "result_backend"),
        *("s3_admin_key", "s3_key", "callback_secret"),
    ),
    "login": ("passwords.json", "callback_secret"),
}
"""Volume -> its secrets, only those that the services need that mount it."""

KEPT = ("passwords.json",)
"""Files that Airflow changes, so they are not overwritten in their volumes."""


def make_secrets() -> None:
    """Generate missing secrets, and copy each group's into its volume, where the services' group may read."""
    os.umask(0o027)
    # Existing secrets stay, because the database keeps the password of its first start for ever.
    for name, make in MADE.items():
        if not (FOLDER / name).exists():
            write(FOLDER, name, make())
    for name, text in derived({name: (FOLDER / name).read_text() for name in MADE}).items():
        write(FOLDER, name, text)
    for group, names in GROUPS.items():
        for name in names:
            if name not in KEPT or not (GROUP_FOLDER / group / name).exists():
                write(GROUP_FOLDER / group, name, (FOLDER / name).read_text())
    for volume in VOLUMES:
        # Docker gives an empty volume the owner of the image's folder at each mount. With a file in it, the
        # volume keeps the owner that it has.
        (volume / ".keep").touch()


def write(folder: Path, name: str, text: str) -> None:
    temporary = folder / f".{name}"
    temporary.write_text(text)
    temporary.rename(folder / name)


def s3_key() -> str:
    return json.dumps({"accessKey": secrets.token_hex(10), "secretKey": secrets.token_hex(20)})


MADE = {
    "postgres_password": lambda: secrets.token_hex(24),
    "redis_password": lambda: secrets.token_hex(24),
    "fernet_key": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "api_secret_key": lambda: secrets.token_urlsafe(48),
    "jwt_secret": lambda: secrets.token_urlsafe(48),
    "callback_secret": lambda: secrets.token_urlsafe(32),
    "passwords.json": lambda: json.dumps({"admin": secrets.token_urlsafe(12)}),
    "s3_key": s3_key,
    "s3_admin_key": s3_key,
    "upload_key": s3_key,
}
"""File name -> function that generates its content."""


def derived(made: dict[str, str]) -> dict[str, str]:
    """File name -> content that is composed of generated secrets, in the form that services read."""
    broker = made["redis_password"]
    connection = f"airflow:{made['postgres_password']}@postgres:5432/airflow"
    return {
        "sql_alchemy_conn": f"postgresql+psycopg2://{connection}",
        "redis.conf": f"requirepass {broker}\nappendonly yes\ndir /data\n",
        "broker_url": f"redis://:{broker}@redis:6379/0",
        # Celery's results are in Redis and not in the database, which workers may not reach.
        "result_backend": f"redis://:{broker}@redis:6379/1",
        "s3.json": json.dumps({"identities": identities(made)}),
    }


def identities(made: dict[str, str]) -> list[dict[str, object]]:
    """The store's users and their rights, as in SeaweedFS's ``s3.json``."""

    def on(bucket: str, *actions: str) -> list[str]:
        return [f"{action}:{bucket}" for action in actions]

    change = ("Read", "Write", "List", "Tagging")
    return [
        {"name": "admin", "credentials": [json.loads(made["s3_admin_key"])], "actions": ["Admin"]},
        {
            "name": "airflow",
            "credentials": [json.loads(made["s3_key"])],
            "actions": [
                *on(ORIGINALS, "Read", "List"),
                *(action for bucket in (UPLOADS, TEMP, RESULTS) for action in on(bucket, *change)),
            ],
        },
        {
            "name": "uploads",
            "credentials": [json.loads(made["upload_key"])],
            "actions": on(ORIGINALS, *change),
        },
        # For the edge. Results are public anyway.
        {"name": "anonymous", "actions": on(RESULTS, "Read")},
    ]


def init() -> None:
    """Create what Airflow needs in the database and the store, unless it exists."""
    airflow("db", "migrate")
    key = json.loads((FOLDER / "s3_key").read_text())
    endpoint = os.environ["S3_ENDPOINT"]
    make_buckets(endpoint, json.loads((FOLDER / "s3_admin_key").read_text()))
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    connections = {
        "aws_default": {
            "conn_type": "aws",
            "login": key["accessKey"],
            "password": key["secretKey"],
            "extra": extra,
        },
        "vod_callbacks": {
            "conn_type": "generic",
            "password": (FOLDER / "callback_secret").read_text(),
        },
    }
    file = Path("/tmp/connections.json")
    with open(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as opened:
        json.dump(connections, opened)
    # Existing connections are not overwritten, because a deployment may have changed them.
    airflow("connections", "import", str(file))
    file.unlink()
    # One slot for each transcoder: with more, tasks would wait in Celery's queue, which ignores priorities.
    slots = os.environ["TRANSCODERS"]
    airflow("pools", "set", os.environ["VOD_TRANSCODE_POOL"], slots, "One slot for each transcoder")


def make_buckets(endpoint: str, key: dict[str, str]) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key["accessKey"],
        aws_secret_access_key=key["secretKey"],
    )
    there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        if bucket not in there:
            client.create_bucket(Bucket=bucket)


def airflow(*words: str) -> None:
    subprocess.run(["airflow", *words], check=True)


if __name__ == "__main__":
    {"secrets": make_secrets, "init": init}[sys.argv[1]]()
