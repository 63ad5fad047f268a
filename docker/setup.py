"""What docker-compose.yaml does before Airflow: ``setup.py secrets``, then ``setup.py init``.

Both may run again.

``secrets`` needs nothing and nobody: it makes what is secret, once, and gives the empty volumes their owner.
``init`` needs the database and the store: tables, buckets, connections, the pool.
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
VOLUMES = (Path("/var/lib/vod/s3"), Path("/var/lib/vod/cache"), Path("/var/lib/vod/work"))
BUCKETS = ("vod-originals", "vod-tmp", "vod-results")


def make_secrets() -> None:
    """Write what is missing; the group, which is the services', may read it."""
    os.umask(0o027)
    # The database keeps the password of its first start for ever, so nothing here is ever made anew.
    if not (FOLDER / "complete").exists():
        for name, text in made().items():
            write(name, text)
        write("complete", "")
    for volume in VOLUMES:
        # Docker gives an empty volume the owner of the image's folder; one that is not empty keeps it.
        (volume / ".keep").touch()


def write(name: str, text: str) -> None:
    temporary = FOLDER / f".{name}"
    temporary.write_text(text)
    temporary.rename(FOLDER / name)


def made() -> dict[str, str]:
    """File name -> content."""
    database, broker = secrets.token_hex(24), secrets.token_hex(24)
    s3 = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_hex(20)}
    connection = f"airflow:{database}@postgres:5432/airflow"
    return {
        "postgres_password": database,
        "sql_alchemy_conn": f"postgresql+psycopg2://{connection}",
        "result_backend": f"db+postgresql+psycopg2://{connection}",
        "redis_password": broker,
        "redis.conf": f"requirepass {broker}\nappendonly yes\ndir /data\n",
        "broker_url": f"redis://:{broker}@redis:6379/0",
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "api_secret_key": secrets.token_urlsafe(48),
        "jwt_secret": secrets.token_urlsafe(48),
        "callback_secret": secrets.token_urlsafe(32),
        "passwords.json": json.dumps({"admin": secrets.token_urlsafe(12)}),
        "s3_key": json.dumps(s3),
        "s3.json": json.dumps(
            {
                "identities": [
                    {
                        "name": "airflow",
                        "credentials": [s3],
                        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                    },
                    # The edge. Results are for everyone anyway.
                    {"name": "anonymous", "actions": ["Read:vod-results"]},
                ]
            }
        ),
    }


def init() -> None:
    airflow("db", "migrate")
    key = json.loads((FOLDER / "s3_key").read_text())
    endpoint = os.environ["S3_ENDPOINT"]
    make_buckets(endpoint, key)
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
    # Not overwritten: a deployment may have changed them.
    airflow("connections", "import", str(file))
    file.unlink()
    # As many slots as there are transcoders, or Airflow's priorities end in Celery's queue.
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
