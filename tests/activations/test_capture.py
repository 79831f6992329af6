"""Capture: the right states, once, in bounded memory, whatever interrupts it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from layerclaims.activations import capture as module
from layerclaims.activations import making, plan
from layerclaims.activations.capture import Capture, capture
from layerclaims.activations.plan import make_plan
from layerclaims.activations.prepared import PREPARED, capture_key
from layerclaims.activations.shards import check_finite, shard_name
from layerclaims.activations.store import ActivationStore
from layerclaims.corpora.corpus import make_corpus
from layerclaims.corpora.load import load_corpus
from layerclaims.errors import LayerclaimsError
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve
from layerclaims.runtime import progress as screen
from layerclaims.runtime.files import sha256_file
from layerclaims.runtime.paths import MANIFEST, key_name

from tests import tiny, warm

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
SHARD_BYTES = 20_000  # 5 documents of 5 states x 6 tokens x 32 in float32
OPTIONS = {"n_texts": 23, "context": 6, "seed": 0}

CHILD = """
import os, signal, sys
from pathlib import Path
from layerclaims.activations import capture as module, plan
from layerclaims.corpora.load import load_corpus
from layerclaims.errors import LayerclaimsError
from layerclaims.models.source import resolve

model, corpus, cache, mode = sys.argv[1:5]
plan.SHARD_BYTES = {shard}
write = module.write_shard
written = 0

def written_here(directory, number, *rest):
    global written
    if mode == "die" and number == 2:
        import layerclaims.runtime.files
        real = os.fsync
        layerclaims.runtime.files.os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
    if mode == "wait" and number == 1:
        print("one shard is there", flush=True)
        sys.stdin.readline()
    written += 1
    return write(directory, number, *rest)

module.write_shard = written_here
try:
    module.capture(resolve(model), load_corpus(corpus), cache_dir=Path(cache), n_texts=23, context=6, seed=0,
                   device="cpu")
except LayerclaimsError as error:
    sys.exit(str(error))
print("written", written)
""".replace("{shard}", str(SHARD_BYTES))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    base = tmp_path_factory.mktemp("capture")
    return tiny.build("gpt2", base / "m"), tiny.write_jsonl(base / "c.jsonl", tiny.texts(60))


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(plan, "SHARD_BYTES", SHARD_BYTES)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As in the children: another number of threads may change the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(places, tmp_path_factory):
    """A store that nothing disturbed, to compare bytes with."""
    cache = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SHARD_BYTES", SHARD_BYTES)
        run(places, cache)
    return contents(cache)


def of_child(places, cache, mode):
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"}
    return {"arguments": ["-c", CHILD, *map(str, (*places, cache)), mode], "cwd": ROOT, "env": environment}


def child(places, cache, mode):
    return warm.run(**of_child(places, cache, mode))


class WaitingChild:
    """A process that says when it has made a shard, and then waits for a line."""

    def __init__(self, places, cache):
        (reads, writes), (ours, theirs) = os.pipe(), os.pipe()
        self._in, self._out = open(writes, "w"), open(ours)  # noqa: SIM115, PTH123
        with open(reads) as stdin, open(theirs, "w") as stdout, Path(os.devnull).open("w") as stderr:  # noqa: PTH123
            how = of_child(places, cache, "wait")
            self._process = warm.start(**how, stdin=stdin, stdout=stdout, stderr=stderr)
        assert self._out.readline() == "one shard is there\n"

    def kill(self):
        os.kill(self._process.pid, signal.SIGKILL)
        self._in.close()
        self._out.close()
        assert self._process.wait(100) == -signal.SIGKILL

    def go_on(self):
        """Exit status, and what it says until its end."""
        with self._in, self._out:
            print(file=self._in, flush=True)
            said = self._out.read()
        return self._process.wait(100), said


def contents(cache):
    (directory,) = (cache / "states").iterdir()
    return {
        path.name: path.read_bytes()
        for path in sorted(directory.iterdir())
        if not path.name.endswith(".lock")
    }


def run(places, cache, **changes):
    model, corpus = places
    options = {**OPTIONS, "device": "cpu", "progress": False, **changes}
    return capture(resolve(str(model)), load_corpus(str(corpus)), cache_dir=cache, **options)


def interrupt():
    raise KeyboardInterrupt


class TestWhatIsStored:
    @pytest.mark.usefixtures("small_shards")
    def test_the_store_holds_the_models_states_of_the_chosen_documents(self, places, tmp_path):
        store = run(places, tmp_path)
        model = LanguageModel.load(resolve(str(places[0])), device="cpu")
        corpus = load_corpus(str(places[1]))
        assert len(store.manifest["shards"]) == 5
        for row, document in enumerate(store.document_ids):
            assert store.token_ids[row].tolist() == model.encode(corpus.texts[document])[:6]
        states = model.states(torch.from_numpy(store.token_ids)).numpy()
        for i in range(store.n_states):
            np.testing.assert_allclose(store.state(i), states[i], rtol=1e-5, atol=1e-6)
        assert store.facts == model.facts
        assert store.verify() == {}

    def test_a_shorter_context_is_a_prefix_of_a_longer_one(self, places, tmp_path):
        long, short = run(places, tmp_path), run(places, tmp_path, context=3)
        # a text that begins like another at three tokens is in the longer one alone
        at = [
            long.document_ids.index(document)
            for document in short.document_ids
            if document in long.document_ids
        ]
        back = [short.document_ids.index(long.document_ids[row]) for row in at]
        assert len(at) > 5
        for i in range(long.n_states):
            np.testing.assert_allclose(long.state(i)[at][:, :3], short.state(i)[back], rtol=1e-4, atol=1e-5)

    @pytest.mark.usefixtures("small_shards")
    def test_the_batch_size_changes_rounding_at_most(self, places, tmp_path):
        one = run(places, tmp_path / "a", batch_size=1)
        other = run(places, tmp_path / "b", batch_size=4)
        assert one.directory.name == other.directory.name
        for i in range(one.n_states):
            np.testing.assert_allclose(one.state(i), other.state(i), rtol=1e-4, atol=1e-5)

    def test_the_manifest_says_what_was_skipped(self, places, tmp_path):
        corpus = make_corpus("c", [*tiny.texts(20), *["short"] * 20])
        store = capture(
            resolve(str(places[0])), corpus, cache_dir=tmp_path, n_texts=20, context=10, seed=0, device="cpu",
            progress=False,
        )  # fmt: skip
        said = store.manifest["corpus"]
        assert (said["n_texts"], said["n_available"]) == (20, 40)
        assert 0 < said["skipped"] <= 20

    @pytest.mark.usefixtures("small_shards")
    def test_checksums_lie_beside_the_shards_for_sha256sum(self, places, tmp_path):
        directory = run(places, tmp_path).directory
        if shutil.which("sha256sum") is None:
            pytest.skip("no sha256sum here")
        names = sorted(path.name for path in directory.glob("*.sha256"))
        done = subprocess.run(["sha256sum", "--check", *names], cwd=directory, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(": OK") == len(names) > 1

    def test_bfloat16_takes_half_the_room(self, places, tmp_path):
        wide, narrow = run(places, tmp_path), run(places, tmp_path, dtype="bfloat16")
        size = [s.manifest["shards"][0]["bytes"] for s in (wide, narrow)]
        assert size[0] / size[1] == pytest.approx(2, rel=0.02)
        np.testing.assert_allclose(narrow.state(1), wide.state(1), atol=0.05)

    def test_float16_that_overflows_is_refused_and_leaves_no_manifest(self, places, tmp_path):
        made = tiny.model("llama")
        with torch.no_grad():
            made.model.layers[1].mlp.down_proj.weight *= 1e9
        model = tiny.save(made, tmp_path / "m")
        with pytest.raises(LayerclaimsError, match=r"not finite in torch\.float16"):
            run((model, places[1]), tmp_path / "cache", dtype="float16")
        assert not list((tmp_path / "cache").rglob(MANIFEST))

    def test_values_that_are_not_finite_are_refused_by_state(self):
        states = torch.zeros(3, 2, 2, 2)
        states[1, 0, 1, 0] = torch.nan
        with pytest.raises(LayerclaimsError, match=r"State 1 of 'm' has values that are not finite"):
            check_finite(states, "m", "float32")


class TestCache:
    def test_a_second_run_needs_neither_tokenizer_nor_model(self, places, tmp_path, monkeypatch):
        first = run(places, tmp_path)
        for name in ("LanguageModel", "Tokenizer"):
            monkeypatch.setattr(module, name, None)
        again = run(places, tmp_path)
        assert again.manifest == first.manifest

    def test_a_warm_run_works_from_a_cache_that_cannot_be_written(self, places, tmp_path):
        first = run(places, tmp_path)
        first.directory.chmod(0o555)
        try:
            assert run(places, tmp_path).manifest == first.manifest
        finally:
            first.directory.chmod(0o755)

    def test_the_key_covers_all_that_changes_a_number(self, places, tmp_path):
        model = resolve(str(places[0]))
        base = {"n_texts": 5, "context": 6, "seed": 0, "dtype": "float32", "initialise": None}
        other = resolve(str(tiny.build("gpt2", tmp_path / "m", seed=1)))
        bos = resolve(str(tiny.build("gpt2", tmp_path / "b", bos=True)))
        keys = [
            capture_key(model, "c", **base),
            capture_key(other, "c", **base),
            capture_key(bos, "c", **base),
            capture_key(model, "d", **base),
            *(
                capture_key(model, "c", **{**base, key: value})
                for key, value in (
                    ("n_texts", 6), ("context", 7), ("seed", 1), ("dtype", "bfloat16"), ("initialise", 0),
                )
            ),
        ]  # fmt: skip
        assert len(set(map(key_name, keys))) == len(keys)

    def test_the_key_does_not_depend_on_path_or_time(self, places, tmp_path):
        copy = tmp_path / "elsewhere"
        shutil.copytree(places[0], copy)
        base = {"n_texts": 5, "context": 6, "seed": 0}
        assert capture_key(resolve(str(copy)), "c", **base) == capture_key(
            resolve(str(places[0])), "c", **base
        )

    def test_fewer_texts_are_taken_and_counted_where_that_is_said(self, places, tmp_path, monkeypatch):
        said = []
        monkeypatch.setattr(screen, "note", said.append)
        store = run(places, tmp_path, n_texts=5000, fewer=True, progress=True)
        assert store.n_documents == store.manifest["corpus"]["n_texts"] < 5000
        assert f"has {store.n_documents} different texts" in said[0]
        with pytest.raises(LayerclaimsError, match="but 5000 are asked for"):
            run(places, tmp_path, n_texts=5000)

    def test_the_untrained_twin_has_a_store_of_its_own(self, places, tmp_path):
        trained, twin = run(places, tmp_path), run(places, tmp_path, initialise=3)
        assert trained.directory != twin.directory
        assert np.array_equal(trained.token_ids, twin.token_ids)
        assert not np.allclose(trained.state(2), twin.state(2))

    def test_corpora_can_share_one_loaded_model(self, places, tmp_path):
        model = LanguageModel.load(resolve(str(places[0])), device="cpu")
        loads = []
        run(places, tmp_path, load=lambda: loads.append(1) or model)
        run(places, tmp_path, load=lambda: loads.append(1) or model)
        assert loads == [1]


class TestFaults:
    def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bytes(self, places, tmp_path, undisturbed):
        assert child(places, tmp_path, "die").returncode == -signal.SIGKILL
        there = contents(tmp_path)
        assert {shard_name(0), shard_name(1)} <= set(there)
        assert not {shard_name(2), MANIFEST} & set(there)
        assert any(name.endswith(".tmp") for name in there)
        assert child(places, tmp_path, "plain").stdout == "written 3\n"
        assert contents(tmp_path) == undisturbed

    @pytest.mark.usefixtures("small_shards")
    def test_ctrl_c_keeps_what_is_finished(self, places, tmp_path, undisturbed, monkeypatch):
        made = making.capture_shard
        monkeypatch.setattr(
            making,
            "capture_shard",
            lambda m, ids, *rest: made(m, ids, *rest) if len(ids) == 5 else interrupt(),
        )
        with pytest.raises(KeyboardInterrupt):
            run(places, tmp_path)
        there = contents(tmp_path)
        assert {shard_name(number) for number in range(4)} <= set(there)
        assert not {shard_name(4), MANIFEST} & set(there)
        monkeypatch.setattr(making, "capture_shard", made)
        run(places, tmp_path)
        assert contents(tmp_path) == undisturbed

    @pytest.mark.usefixtures("small_shards")
    def test_the_next_shard_is_begun_when_the_one_before_lies_on_disk(self, places, tmp_path, monkeypatch):
        made, there = making.capture_shard, []

        def making_one(*how):
            there.append(len([name for name in contents(tmp_path) if name.endswith(".sha256")]))
            made(*how)

        monkeypatch.setattr(making, "capture_shard", making_one)
        run(places, tmp_path)
        assert there == list(range(5))

    @pytest.mark.usefixtures("small_shards")
    def test_nothing_is_kept_of_a_shard_of_which_a_pass_turns_out_wrong(self, places, tmp_path, monkeypatch):
        made = making.capture_shard

        def made_wrong(*how):
            made(*how)
            raise RuntimeError("a block ran twice")

        monkeypatch.setattr(making, "capture_shard", made_wrong)
        with pytest.raises(RuntimeError, match="ran twice"):
            run(places, tmp_path)
        assert not [name for name in contents(tmp_path) if name.startswith((".shard", "shard"))]

    def test_states_arrive_when_all_documents_have_them_and_the_last_one_at_the_end(self):
        out = torch.arange(6.0).reshape(3, 2, 1, 1)
        arriving = making._Arriving(out)
        for document in range(2):
            for i in range(3):
                arriving.told(i, 1)
                assert [event.is_set() for event in arriving._there] == [
                    document == 1 and at <= i for at in range(2)
                ] + [False]
        arriving.end(whole=True)
        assert [state.tolist() for state in arriving] == out.tolist()

    @pytest.mark.parametrize(
        "harm", ["delete", "truncate", "flip", "no manifest", "manifest", "sidecar", "junk"]
    )
    @pytest.mark.usefixtures("small_shards")
    def test_a_damaged_store_is_mended_where_it_is_broken(self, places, tmp_path, undisturbed, harm):
        store = run(places, tmp_path)
        shard, manifest = store.directory / shard_name(1), store.directory / MANIFEST
        if harm == "delete":
            shard.unlink()
        elif harm == "truncate":
            shard.write_bytes(shard.read_bytes()[:-1])
        elif harm == "flip":
            data = bytearray(shard.read_bytes())
            data[-1] ^= 1
            shard.write_bytes(data)
            assert ActivationStore.open(store.directory).verify() == {
                shard.name: "its bytes are not those that were written"
            }
            manifest.unlink()
        elif harm == "no manifest":
            manifest.unlink()
        elif harm == "manifest":
            manifest.write_bytes(manifest.read_bytes()[:100])
        elif harm == "sidecar":
            shard.with_suffix(".sha256").write_bytes(b"\xff")
            manifest.unlink()
        elif harm == "junk":
            (store.directory / f".shard-00009.safetensors-{'0' * 16}.tmp").write_bytes(
                b"left by a killed writer"
            )
            shard.unlink()
        before = {path.name: path.stat().st_mtime_ns for path in store.directory.glob("shard-*.safetensors")}
        run(places, tmp_path)
        assert contents(tmp_path) == undisturbed
        after = {path.name: path.stat().st_mtime_ns for path in store.directory.glob("shard-*.safetensors")}
        assert before[shard_name(0)] == after[shard_name(0)]

    @pytest.mark.usefixtures("small_shards")
    def test_processes_that_ask_for_one_store_share_its_shards(
        self, places, tmp_path, undisturbed, monkeypatch
    ):
        other = WaitingChild(places, tmp_path)  # it holds the lock of its next shard
        written, write = [], module.write_shard
        monkeypatch.setattr(
            module,
            "write_shard",
            lambda place, number, *rest: written.append(number) or write(place, number, *rest),
        )
        mine = Capture(
            resolve(str(places[0])),
            load_corpus(str(places[1])),
            cache_dir=tmp_path,
            device="cpu",
            progress=False,
            **OPTIONS,
        )
        assert mine.go_on() is None
        assert written
        assert not {0, 1} & set(written)
        status, said = other.go_on()
        assert (status, int(said.split()[-1])) == (0, 5 - len(written))
        assert mine.go_on().manifest["shards"]
        assert contents(tmp_path) == undisturbed

    @pytest.mark.usefixtures("small_shards")
    def test_a_killed_process_gives_its_lock_back(self, places, tmp_path, undisturbed):
        WaitingChild(places, tmp_path).kill()
        run(places, tmp_path)
        assert contents(tmp_path) == undisturbed

    @pytest.mark.usefixtures("small_shards")
    def test_tokens_that_were_prepared_are_taken_and_damaged_ones_are_not(
        self, places, tmp_path, undisturbed, monkeypatch
    ):
        WaitingChild(places, tmp_path).kill()
        (prepared,) = tmp_path.rglob(PREPARED)
        shutil.copytree(tmp_path, tmp_path.with_suffix(".damaged"))
        (damaged,) = tmp_path.with_suffix(".damaged").rglob(PREPARED)
        damaged.write_bytes(damaged.read_bytes().replace(b'"token_ids":[[', b'"token_ids":[[1', 1))
        run(places, tmp_path.with_suffix(".damaged"))
        assert contents(tmp_path.with_suffix(".damaged")) == undisturbed
        with monkeypatch.context() as patch:
            patch.setattr(module, "select", None)
            run(places, tmp_path)
        assert contents(tmp_path) == undisturbed
        assert not prepared.exists()

    @pytest.mark.usefixtures("small_shards")
    def test_shards_that_lie_there_need_no_model_and_say_what_they_were_made_with(
        self, places, tmp_path, undisturbed, monkeypatch
    ):
        said = []
        monkeypatch.setattr(screen, "note", lambda text, **_: said.append(text))
        store = run(places, tmp_path)
        assert store.manifest["made with"] == [
            {"device": "cpu", **{name: version(name) for name in ("torch", "transformers", "numpy")}}
        ]
        (store.directory / MANIFEST).unlink()
        with monkeypatch.context() as patch:
            patch.setattr(module, "LanguageModel", None)
            run(places, tmp_path)
        assert contents(tmp_path) == undisturbed
        for name in (MANIFEST, shard_name(1)):
            (store.directory / name).unlink()
        monkeypatch.setattr(module, "made_with", lambda _: {"device": "cuda (H200)", "torch": "2.0"})
        mixed = run(places, tmp_path, progress=True)
        assert [one["device"] for one in mixed.manifest["made with"]] == ["cpu", "cuda (H200)"]
        assert "were made in 2 ways, so their last digits may differ: cpu numpy" in said[-1]
        assert mixed.digest == store.digest

    @pytest.mark.usefixtures("small_shards")
    def test_what_a_shard_says_of_itself_is_not_believed_when_it_is_damaged(
        self, places, tmp_path, undisturbed
    ):
        store = run(places, tmp_path)
        beside = (store.directory / shard_name(0)).with_suffix(".sha256")
        beside.write_text(beside.read_text().replace('"n_blocks": 3', '"n_blocks": 2'))
        (store.directory / MANIFEST).unlink()
        run(places, tmp_path)
        assert contents(tmp_path) == undisturbed

    @pytest.mark.usefixtures("small_shards")
    def test_a_file_size_limit_is_one_sentence_and_leaves_nothing_behind(self, places, tmp_path):
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, before[1]))  # Python ignores SIGXFSZ
        try:
            with pytest.raises(
                LayerclaimsError, match="could not be written: File too large; free some space"
            ):
                run(places, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert set(contents(tmp_path)) <= {PREPARED}

    def test_a_full_disk_is_one_sentence(self, places, tmp_path):
        # a file system of 16 kB of our own; the space check is told otherwise, so that the write itself fails
        script = (
            "mount -t tmpfs -o size=16k none {0} && exec {1} -c 'import shutil, sys, collections\n"
            'shutil.disk_usage = lambda _: collections.namedtuple("U", "free")(10**12)\n'
            'sys.argv = ["-c", "{2}", "{3}", "{0}", "plain"]\n'
            'exec(open("{4}").read())\''
        )
        code, disk = tmp_path / "child.py", tmp_path / "disk"
        code.write_text(CHILD)
        disk.mkdir()
        if shutil.which("unshare") is None:
            pytest.skip("no unshare here")
        probe = subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False)
        if probe.returncode:
            pytest.skip("user namespaces are not allowed here")
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", script.format(disk, sys.executable, *places, code)],
            env={**os.environ, "PYTHONPATH": PYTHONPATH}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "could not be written: No space left on device" in done.stderr
        assert "Traceback" not in done.stderr

    def test_too_little_space_is_seen_before_the_model_is_loaded(self, places, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
        monkeypatch.setattr(module, "LanguageModel", None)
        with pytest.raises(LayerclaimsError, match=r"take [\d.]+ kB, but .* has 1\.0 MB free; make room"):
            run(places, tmp_path)

    def test_an_unwritable_cache_is_seen_before_the_model_is_loaded(self, places, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "Tokenizer", None)
        for cache in (Path("/proc/nowhere"), tmp_path / "file"):
            (tmp_path / "file").touch()
            with pytest.raises(LayerclaimsError, match=r"cannot be written to: .* with --cache-dir"):
                run(places, cache)

    def test_too_few_texts_are_seen_before_the_model_is_loaded(self, places, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "LanguageModel", None)
        with pytest.raises(
            LayerclaimsError, match=r"has \d+ different texts of 6 tokens or more, of 60 in all, but 61"
        ):
            run(places, tmp_path, n_texts=61)

    def test_a_context_longer_than_the_models_is_refused(self, places, tmp_path):
        corpus = tiny.write_jsonl(tmp_path / "c.jsonl", tiny.texts(3, words=(400, 500)))
        with pytest.raises(LayerclaimsError, match=r"300 tokens is longer than the 256"):
            run((places[0], corpus), tmp_path, n_texts=2, context=300)


class TestPlan:
    @pytest.mark.parametrize(
        ("n", "most", "sizes"),
        [
            (28, 32, [14, 14]),
            (12, 14, [6, 6]),
            (28, 8, [7] * 4),
            (3, 32, [2, 1]),
            (1, 32, [1]),
            (5, 1, [1] * 5),
        ],
    )
    def test_passes_are_even_so_that_none_has_to_wait(self, n, most, sizes):
        class Counting:
            def states(self, ids, out, told):
                seen.append(len(ids))
                out[:] = ids[..., None]
                for i in range(len(out)):
                    told(i)

        seen = []
        plan = make_plan(n_blocks=2, hidden_size=3, n_texts=n, context=4, dtype="float32", batch_size=most)
        ids, made = torch.arange(4 * n).reshape(n, 4), torch.zeros(4, n, 4, 3)
        with ThreadPoolExecutor(1) as pool:
            making.capture_shard(Counting(), ids, plan, made, pool)
        assert seen == sizes
        assert torch.equal(made, ids[None, :, :, None].expand(4, n, 4, 3).float())

    def test_shards_cover_every_document_once_and_do_not_depend_on_the_batch_size(self):
        for n in (1, 7, 200, 5000):
            plans = [
                make_plan(n_blocks=30, hidden_size=576, n_texts=n, context=30, dtype="float32", batch_size=b)
                for b in (None, 1, 64)
            ]
            assert len({str(plan.shards) for plan in plans}) == 1
            assert [d for shard in plans[0].shards for d in shard] == list(range(n))
            assert all(plan.document_bytes * len(plan.shards[0]) <= 64_000_000 for plan in plans)
            assert plans[0].batch_size >= 1

    def test_a_document_larger_than_a_shard_is_a_shard(self):
        plan = make_plan(
            n_blocks=80, hidden_size=8192, n_texts=3, context=2048, dtype="float32", batch_size=None
        )
        assert [len(shard) for shard in plan.shards] == [1, 1, 1]
        assert plan.batch_size == 1


class TestScreen:
    def test_the_size_is_said_first(self, places, tmp_path, monkeypatch):
        said = []
        monkeypatch.setattr(screen, "note", said.append)
        run(places, tmp_path, progress=True)
        assert re.match(r"layerclaims: states of m on c.jsonl take [\d.]+ [kM]B in .* free\)$", said[0])


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_memory_does_not_grow_with_the_number_of_texts(tmp_path):
    # 15 MB and 96 MB of states in shards of 4 MB: the peaks may differ by the size of a few shards
    model = tiny.build("llama", tmp_path / "m")
    corpus = tiny.write_jsonl(tmp_path / "c.jsonl", tiny.texts(100, words=(60, 60)))
    code = """
import resource, sys
from pathlib import Path
from layerclaims.activations import capture as module, plan
from layerclaims.corpora.load import load_corpus; from layerclaims.corpora.corpus import make_corpus
from layerclaims.models.source import resolve
model, corpus, cache, n = sys.argv[1:]
plan.SHARD_BYTES = 4_000_000
texts = [f"{i} {text}" for i in range(80) for text in load_corpus(corpus).texts]
store = module.capture(resolve(model), make_corpus("c", texts), cache_dir=Path(cache), n_texts=int(n),
                       context=60, seed=0, device="cpu", progress=False)
for block in store.blocks(range(store.n_states)):
    for state in block:
        state.sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""
    peaks = []
    for n in (400, 2500):
        done = warm.run(
            ["-c", code, str(model), str(corpus), str(tmp_path / f"{n}"), str(n)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        peaks.append(float(done.stdout))
    assert sum(p.stat().st_size for p in (tmp_path / "2500").rglob("*.safetensors")) > 95_000_000
    assert peaks[1] - peaks[0] < 40


def test_the_sidecar_is_the_files_checksum(places, tmp_path):
    store = run(places, tmp_path)
    assert store.manifest["shards"][0]["sha256"] == sha256_file(store.directory / shard_name(0))
