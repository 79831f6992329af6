"""A stand-in for the hub on this machine: it serves repositories, and fails in the ways that a test asks for."""

import contextlib
import hashlib
import http.server
import json
import os
import socket
import struct
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".parquet", ".gguf")  # that the hub keeps by their SHA-256
OTHER = "89abcdef0123456789abcdef0123456789abcdef"


@dataclass
class Hub:
    """What is served and what goes wrong; a test may change it at any time.

    `failures` has for "api", "HEAD" (of a file) or "GET" what happens in place of an answer: a status, "reset"
    (the connection is reset), "silence" (never an answer), "drop" (the connection ends in mid-file) or, of "GET",
    "slow" (the file comes in many pieces).
    `times` says how often, for those that pass. `seen` counts requests by kind.
    """

    endpoint: str
    # of models and data sets: owner/name -> revision -> commit, and commit -> files
    revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    failures: dict[str, int | str] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # of failures
    seen: Counter[str] = field(default_factory=Counter)
    fetched: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)  # old name of a repository -> its name
    moves: dict[str, str] = field(
        default_factory=dict
    )  # repository -> commit of main from its first answer on
    sizes: dict[str, int] = field(default_factory=dict)  # that are told of files in place of their own
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, repository: str, files: dict[str, bytes], commit: str = COMMIT, *revisions: str) -> None:
        """Serve files at a commit, to which main and other revisions lead."""
        names = dict.fromkeys(("main", *revisions, commit), commit)
        self.revisions[repository] = self.revisions.get(repository, {}) | names
        self.files[repository, commit] = files


class Handler(http.server.BaseHTTPRequestHandler):
    """As much of the hub as its client asks for."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def send(self, status: int, body: bytes = b"", *, sent: int | None = None, **headers: str) -> None:
        """Answer with a status, headers and a body, of which `sent` bytes are sent."""
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def trickle(self, body: bytes, **headers: str) -> None:
        """Answer in many pieces, with a pause after each."""
        self.send(200, body, sent=0, **headers)
        step = len(body) // 30 + 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.wfile.flush()
            self.hub.over.wait(0.02)

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer, or fail as the test asks."""
        path = urllib.parse.urlparse(self.path).path
        kind = "api" if path.startswith("/api/") else self.command
        if path == "/api/agent-harnesses":  # what the client wants to know where an agent runs it
            return self.send(404, b"{}")
        self.hub.seen[kind] += 1
        failure = self.hub.failures.get(kind)
        if failure is not None and self.hub.times.get(kind, 1):
            if kind in self.hub.times:
                self.hub.times[kind] -= 1
            if failure == "silence":
                self.hub.over.wait(30)
                self.close_connection = True
                return None
            if failure == "reset":
                linger = struct.pack("ii", 1, 0)  # closing then sends RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                os.close(self.connection.detach())
                self.close_connection = True
                return None
            if isinstance(failure, int):
                return self.send(failure, b"{}", **self.hub.headers)
        return self.answer(path, drop=failure == "drop")

    def told(self, name: str, body: bytes) -> dict[str, Any]:
        """What the hub says of a file in a list of them."""
        told = {
            "rfilename": name,
            "size": self.hub.sizes.get(name, len(body)),
            "blobId": hashlib.sha1(body).hexdigest(),
        }
        if name.endswith(LARGE):
            told["lfs"] = {
                "size": told["size"],
                "sha256": hashlib.sha256(body).hexdigest(),
                "pointerSize": 134,
            }
        return told

    def answer(self, path: str, *, drop: bool) -> None:
        """Answer as the hub does."""
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        if parts[0] == "api":
            repository, revision = "/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main"
        else:
            parts = parts[1:] if parts[0] == "datasets" else parts
            repository, revision = "/".join(parts[:2]), parts[3]
        if new := self.hub.renamed.get(repository):
            location = self.path.replace(f"/{repository}/", f"/{new}/", 1)
            return self.send(307, Location=location)
        if repository not in self.hub.revisions:
            return self.send(404, b"{}", X_Error_Code="RepoNotFound")
        commit = self.hub.revisions[repository].get(revision)
        if commit is None:
            return self.send(404, b"{}", X_Error_Code="RevisionNotFound")
        files = self.hub.files[repository, commit]
        if path.startswith("/api/"):
            names = [self.told(name, body) for name, body in files.items()]
            body = json.dumps({"id": repository, "sha": commit, "siblings": names}).encode()
            if repository in self.hub.moves:
                self.hub.revisions[repository]["main"] = self.hub.moves[repository]
            return self.send(200, body, Content_Type="application/json")
        name = "/".join(parts[4:])
        body, large = files[name], name.endswith(LARGE)
        if self.command == "GET":
            self.hub.fetched.append(name)
        tag = (hashlib.sha256 if large else hashlib.sha1)(body).hexdigest()
        headers = {"ETag": f'"{tag}"', "X_Repo_Commit": commit}
        if self.hub.failures.get("GET") == "slow" and self.command == "GET":
            return self.trickle(body, **headers)
        self.send(200, body, sent=len(body) // 2 if drop else None, **headers)
        self.close_connection = drop
        return None


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    """A hub that serves nothing yet, on a free port of this machine."""
    handler = type("Served", (Handler,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield handler.hub
    finally:
        handler.hub.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def asked_by_its_client(home: Path) -> Iterator[Hub]:
    """A stand-in that this process's hub client asks, with a cache in `home` and limits short enough for a test."""
    import huggingface_hub
    from huggingface_hub import constants
    from layerclaims.runtime import hub as limits

    with running() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_CACHE", str(home))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            patch.delenv(variable, raising=False)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setattr(limits, "ANSWER", 5.0)  # of a hub that is silent a test may set less
        patch.setattr(limits, "TRIES", 2)
        patch.setattr(limits, "WAIT", 0.0)
        huggingface_hub.close_session()
        yield hub
        huggingface_hub.close_session()
