"""A bucket of S3, served on this machine; a workspace with an empty store of MLflow."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Where a bucket named `shelf` is served."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="shelf")
    yield url
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The same, and nothing that this machine's own settings say of S3 counts."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return s3_server


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy: making one takes MLflow seconds."""
    from tasks.tracking import open_store

    workspace = tmp_path_factory.mktemp("fresh")
    open_store(workspace)
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return workspace / "mlflow.db"


@pytest.fixture
def workspace(tmp_path: Path, fresh_store: Path) -> Path:
    """A workspace with an empty store: that of another workspace, which moved here."""
    folder = tmp_path / "a workspace"
    folder.mkdir()
    shutil.copyfile(fresh_store, folder / "mlflow.db")
    return folder
