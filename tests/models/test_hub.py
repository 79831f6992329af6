"""The hub: through its client and cache, against a stand-in server on this machine."""

import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pytest

from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"

ASK = """
import json, sys
from layerclaims.errors import LayerclaimsError
from layerclaims.models.source import resolve
try:
    s = resolve(sys.argv[1], offline="--offline" in sys.argv)
    print(json.dumps([s.kind, s.revision, str(s.path), s.weights_sha256, s.tokenizer_sha256, s.n_blocks]))
except LayerclaimsError as error:
    print(json.dumps(str(error)))
"""


class StandIn(http.server.BaseHTTPRequestHandler):
    """As much of the hub as its client asks for. `files` and `refusals` are set by the test."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    seen: list[str]

    def log_message(self, *args):
        pass

    def send(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, content):
        self.send(200, json.dumps(content).encode(), Content_Type="application/json")

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        self.seen.append(path)
        if "acme/gated" in path:
            return self.send(403, b"{}", X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        if "acme/tiny" not in path and "acme/pickle" not in path:
            return self.send(404, b"{}", X_Error_Code="RepoNotFound")
        files = {k: v for k, v in self.files.items() if "pickle" not in path or not k.endswith("safetensors")}
        if "/resolve/" in path:
            name = path.split("/resolve/")[1].split("/", 1)[1]
            if name not in files:
                return self.send(404, b"", X_Error_Code="EntryNotFound")
            body = files[name]
            large = name.endswith(".safetensors")
            tag = (hashlib.sha256 if large else hashlib.sha1)(body).hexdigest()
            headers = {"ETag": f'"{tag}"', "X_Repo_Commit": COMMIT}
            if large:
                headers |= {"X_Linked_Etag": f'"{tag}"', "X_Linked_Size": str(len(body))}
            return self.send(200, body, **headers)
        revision = path.split("/revision/")[1] if "/revision/" in path else "main"
        if revision not in ("main", "v1.0", COMMIT):
            return self.send(404, b"{}", X_Error_Code="RevisionNotFound")
        if "/tree/" in path:
            return self.json(
                [
                    {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                    for name, body in files.items()
                ]
            )
        return self.json(
            {"id": "acme/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tiny.build("gpt2", tmp_path_factory.mktemp("hub") / "m")
    (path / "pytorch_model.bin").write_bytes(b"never to be fetched")
    return path


@pytest.fixture
def hub(model):
    StandIn.files = {path.name: path.read_bytes() for path in model.iterdir()}
    StandIn.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(home, endpoint, *arguments, cwd=ROOT):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_XET": "1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@contextlib.contextmanager
def directory_named(base, name):
    (base / name).mkdir(parents=True)
    yield base


def test_a_model_is_fetched_once_with_its_commit_and_without_its_pickle(hub, model, tmp_path):
    from layerclaims.models.source import resolve

    kind, revision, path, weights, tokenizer, n_blocks = ask(tmp_path, hub, "acme/tiny@v1.0")
    assert (kind, revision, n_blocks) == ("hub", COMMIT, tiny.BLOCKS)
    local = resolve(str(model))
    assert (weights, tokenizer) == (local.weights_sha256, local.tokenizer_sha256)
    assert not any("pytorch_model.bin" in seen for seen in StandIn.seen)
    assert Path(path).is_relative_to(tmp_path)
    # and again from the cache's own layout, with nothing to ask
    nobody = "http://127.0.0.1:9"
    for arguments in (("acme/tiny@v1.0", "--offline"), ("acme/tiny@v1.0",), (f"acme/tiny@{COMMIT}",)):
        assert ask(tmp_path, nobody, *arguments)[1:4] == [COMMIT, path, weights]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("acme/gated", "is gated on the hub"),
        ("acme/none", "does not exist on the hub"),
        ("acme/tiny@v9", "has no revision 'v9'"),
        ("acme/pickle", "has no safetensors weights on the hub"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(hub, tmp_path, name, why):
    said = ask(tmp_path, hub, name)
    assert why in said
    assert "\n" not in said


def test_an_unreachable_hub_is_one_sentence_that_names_the_ways_out(tmp_path):
    said = ask(tmp_path, "http://127.0.0.1:9", "gpt2-medium")
    assert said.startswith(
        "The model 'gpt2-medium' is not in the hub's local cache and the hub cannot be reached"
    )
    for way in ("local directory", ".gguf", "'embedded'", "HF_ENDPOINT", "HF_TOKEN"):
        assert way in said


def test_a_directory_of_the_same_name_is_pointed_out_and_not_used(tmp_path, model):
    with directory_named(tmp_path, "acme/tiny") as base:
        said = ask(tmp_path / "home", "http://127.0.0.1:9", "acme/tiny", cwd=base)
    assert "./acme/tiny" in said
