"""What SECURITY.md promises and no trial of the campaign tries."""

import ast
import contextlib
import json
import re
from pathlib import Path

import pytest
from layerclaims import LanguageModel, LayerclaimsError
from layerclaims.models.source import resolve
from layerclaims.protocol import report_name
from layerclaims.runtime.text import inert

from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "harness").rglob("*.py"))
# modules and functions that run what they read
RUNS = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal", "yaml"}
CALLS = {"eval", "exec", "torch.load", "pandas.read_pickle", "os.system", "os.popen"}
TRUST = {"trust_remote_code", "allow_pickle", "weights_only", "shell"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_what_it_reads(path):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            assert not {name.name.partition(".")[0] for name in node.names} & RUNS
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in RUNS
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in CALLS, ast.unparse(node)
            for keyword in node.keywords:
                if keyword.arg in TRUST:
                    assert isinstance(keyword.value, ast.Constant), ast.unparse(node)
                    assert keyword.value.value is (keyword.arg == "weights_only"), ast.unparse(node)


def test_code_in_a_model_s_directory_is_not_run(tmp_path):
    model = tiny.build("llama", tmp_path / "model")
    ran = tmp_path / "ran"
    (model / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    for file, key in (("config.json", "AutoModelForCausalLM"), ("tokenizer_config.json", "AutoTokenizer")):
        content = json.loads((model / file).read_text())
        content["auto_map"] = {"AutoConfig": "evil.Evil", key: "evil.Evil"}
        (model / file).write_text(json.dumps(content))
    with contextlib.suppress(LayerclaimsError):
        LanguageModel.load(resolve(str(model)), device="cpu", dtype="float32")
    assert not ran.exists()


def test_a_pickle_beside_nothing_else_is_refused(tmp_path):
    model = tiny.build("llama", tmp_path / "model")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(LayerclaimsError, match="pickle"):
        resolve(str(model))


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "..", ".", "", "a\0b", "~", "x" * 5000, "\u202ex", "a/../../b"]
)
def test_a_report_s_folder_has_a_harmless_name(name):
    made = report_name(name)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", made), made
    assert len(made) < 200


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\u202egnirts", "\x9b31m", "\0", "\u2028"])
def test_what_a_terminal_would_obey_is_escaped(text):
    assert inert(text).isprintable()
