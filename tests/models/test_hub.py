"""The hub: through its client and cache, against a stand-in server on this machine."""

import json
import re

import pytest
import safetensors.torch as safetensors
from huggingface_hub import constants
from layerclaims.errors import LayerclaimsError
from layerclaims.models.source import resolve
from layerclaims.runtime import hub as limits

from tests import tiny
from tests.stand_in_hub import COMMIT, OTHER, asked_by_its_client

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tiny.build("gpt2", tmp_path_factory.mktemp("hub") / "m")
    (path / "pytorch_model.bin").write_bytes(b"never to be fetched")
    return path


@pytest.fixture(scope="module")
def files(model):
    return {path.name: path.read_bytes() for path in model.iterdir()}


@pytest.fixture(autouse=True)
def hub(files, tmp_path):
    with asked_by_its_client(tmp_path / "hub") as hub:
        hub.serve("acme/tiny", files, COMMIT, "v1.0", "refs/pr/1", "feature/a-b")
        yield hub


@pytest.fixture
def notes(monkeypatch):
    said = []
    monkeypatch.setattr(limits.screen, "note", said.append)
    return said


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(limits, "ANSWER", 0.3)


def refusal(name, **options):
    with pytest.raises(LayerclaimsError) as caught:
        resolve(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sharded(files, shards):
    """The same repository with its tensors spread over files of other names, which an index lists."""
    tensors = safetensors.load(files[WEIGHTS])
    place = {name: shards[i % len(shards)] for i, name in enumerate(sorted(tensors))}
    bodies = {
        shard: safetensors.save({name: tensors[name] for name in tensors if place[name] == shard})
        for shard in shards
    }
    rest = {name: body for name, body in files.items() if name != WEIGHTS}
    return rest | bodies | {INDEX: json.dumps({"weight_map": place}).encode()}


class TestWhatIsFetched:
    def test_a_model_comes_with_its_commit_and_without_its_pickle(self, hub, model, tmp_path):
        source = resolve("acme/tiny@v1.0")
        assert (source.kind, source.revision, source.n_blocks) == ("hub", COMMIT, tiny.BLOCKS)
        local = resolve(str(model))
        assert source.weights_sha256 == local.weights_sha256
        assert source.tokenizer_sha256 == local.tokenizer_sha256
        assert "pytorch_model.bin" not in hub.fetched
        assert source.path.is_relative_to(tmp_path)

    def test_what_is_cached_is_not_fetched_again(self, hub):
        resolve("acme/tiny")
        hub.fetched.clear()
        resolve("acme/tiny@v1.0")
        assert hub.fetched == []

    @pytest.mark.parametrize("revision", ["refs/pr/1", "feature/a-b", COMMIT])
    def test_a_revision_may_hold_slashes(self, hub, revision):
        assert resolve(f"acme/tiny@{revision}").revision == COMMIT
        hub.failures["api"] = "silence"
        assert resolve(f"acme/tiny@{revision}", offline=True).revision == COMMIT

    @pytest.mark.parametrize("revision", ["../../x", "a/../../x", "/etc", ""])
    def test_a_revision_does_not_lead_out_of_the_cache(self, hub, revision):
        assert "is not a revision" in refusal(f"acme/tiny@{revision}")
        assert hub.seen.total() == 0

    def test_the_weight_files_are_those_that_the_index_lists(self, hub, files):
        names = [
            "model.safetensors-00001-of-00002.safetensors",
            "model.safetensors-00002-of-00002.safetensors",
        ]
        hub.serve("acme/shards", {**sharded(files, names), "model-extra.safetensors": b"x"})
        source = resolve("acme/shards")
        assert {path.name for path in source.path.glob("*.safetensors")} == set(names)

    @pytest.mark.parametrize(
        "name", ["../x.safetensors", "a/b.safetensors", "x.bin", "*.safetensors", "..safetensors"]
    )
    def test_an_index_lists_plain_names_only(self, hub, files, name):
        hub.serve("acme/shards", sharded(files, [name]))
        assert "not the name of a safetensors file" in refusal("acme/shards")
        assert name not in hub.fetched

    @pytest.mark.parametrize(
        "index", [b"", b"[]", b"{}", b'{"weight_map": {}}', b'{"weight_map": 3}', b"[" * 99_999]
    )
    def test_an_index_that_is_none_is_one_sentence(self, hub, files, index):
        hub.serve("acme/shards", sharded(files, ["a.safetensors"]) | {INDEX: index})
        assert "lists no files under 'weight_map'" in refusal("acme/shards")

    @pytest.mark.parametrize(
        ("there", "why"),
        [
            (["pytorch_model.bin"], r"only 'pytorch_model.bin', a pickle"),
            (
                ["README.md", "tiny.Q4_0.gguf"],
                r"the GGUF file 'tiny.Q4_0.gguf': name it with :: after the id",
            ),
            (["adapter_model.safetensors"], r"only the adapter 'adapter_model.safetensors'"),
            (["consolidated.safetensors"], r"under the usual name, only 'consolidated.safetensors'"),
            (["README.md"], r"has no safetensors weights on the hub: give"),
        ],
    )
    def test_what_a_refused_repository_has_is_named(self, hub, there, why):
        hub.serve("acme/none", dict.fromkeys(["config.json", *there], b"{}"))
        assert re.search(why, refusal("acme/none"))
        assert hub.fetched == []

    def test_a_shard_that_is_not_there_is_named_before_it_is_asked_for(self, hub, files):
        there = sharded(files, ["a.safetensors", "b.safetensors"])
        del there["b.safetensors"]
        hub.serve("acme/shards", there)
        assert "'b.safetensors', which its index lists" in refusal("acme/shards")


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "why"),
        [
            (403, "GatedRepo", "is gated on the hub"),
            (403, "", "is refused by the hub (403 (Forbidden)"),
            (401, "", "does not exist on the hub, or is private"),
            (404, "RepoNotFound", "does not exist on the hub"),
            (404, "RevisionNotFound", "has no revision 'v9' on the hub"),
            (429, "", "is not in the hub's local cache and the hub answers 429 (Too Many Requests)"),
            (500, "", "is not in the hub's local cache and the hub answers 500 (Internal Server Error)"),
            (503, "", "is not in the hub's local cache and the hub answers 503 (Service Unavailable)"),
            (418, "", "is refused by the hub (418"),
        ],
    )
    @pytest.mark.parametrize("kind", ["api", "HEAD"])
    def test_the_cause_is_the_one_that_the_hub_gives(self, hub, status, code, why, kind):
        hub.revisions["acme/tiny"]["v9"] = COMMIT
        hub.failures[kind] = status
        hub.headers |= {"X-Error-Code": code, "Retry-After": "0"}
        assert why in refusal("acme/tiny@v9")
        assert hub.seen.total() < 10

    def test_a_token_that_is_refused_is_blamed(self, hub, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_of_last_year")
        hub.failures["api"] = 401
        assert "your token, which the hub refuses (401); it may have expired" in refusal("acme/tiny")

    def test_an_absent_repository_and_revision_are_told_apart(self):
        assert "does not exist on the hub" in refusal("acme/none")
        assert "has no revision 'v9' on the hub" in refusal("acme/tiny@v9")

    def test_an_unreachable_hub_is_one_sentence_that_names_the_ways_out(self, monkeypatch):
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        said = refusal("gpt2-medium")
        assert said.startswith(
            "The model 'gpt2-medium' is not in the hub's local cache and the hub cannot be reached"
        )
        for way in ("local directory", ".gguf", "'embedded'", "HF_ENDPOINT", "HF_TOKEN"):
            assert way in said

    @pytest.mark.usefixtures("impatient")
    def test_a_hub_that_never_answers_is_waited_for_with_a_limit(self, hub):
        hub.failures["api"] = "silence"
        assert "the hub does not answer within 0.3 s" in refusal("acme/tiny")
        assert hub.seen["api"] == 1

    @pytest.mark.parametrize(
        ("kind", "how"), [("api", "reset"), ("HEAD", "reset"), ("GET", "reset"), ("GET", "drop")]
    )
    def test_a_connection_that_breaks_off_is_one_sentence(self, hub, kind, how):
        hub.failures[kind] = how
        assert re.search("broke off|breaks off", refusal("acme/tiny"))
        assert hub.seen.total() < 10

    @pytest.mark.parametrize("kind", ["HEAD", "GET"])
    def test_a_file_that_never_comes_is_waited_for_with_a_limit(self, hub, kind, monkeypatch):
        hub.failures[kind] = "silence"
        unsaid = limits._File(size=0, blob=None)
        there = dict.fromkeys(hub.files["acme/tiny", COMMIT], unsaid)
        monkeypatch.setattr(limits, "_ask", lambda _: (COMMIT, there))
        monkeypatch.setattr(limits, "ANSWER", 0.2)
        assert "does not answer" in refusal("acme/tiny")
        assert hub.seen[kind] <= 3

    @pytest.mark.parametrize(
        "body", [b"<html>Sign in</html>", b"[]", b'{"id": "acme/tiny"}', b'{"id": 1, "sha": "../x"}']
    )
    def test_an_answer_that_is_none_of_a_hubs_is_one_sentence(self, body, monkeypatch):
        from tests.stand_in_hub import Handler

        monkeypatch.setattr(Handler, "answer", lambda self, *_, **__: self.send(200, body))
        refusal("acme/tiny")

    def test_another_commit_than_the_one_asked_for_is_not_taken(self, hub):
        hub.revisions["acme/tiny"][OTHER] = COMMIT
        assert f"answered for with commit {COMMIT}" in refusal(f"acme/tiny@{OTHER}")

    def test_a_directory_of_the_same_name_is_pointed_out_and_not_used(self, tmp_path, monkeypatch):
        (tmp_path / "acme" / "none").mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        assert "./acme/none" in refusal("acme/none")


class TestTries:
    @pytest.mark.parametrize("status", [429, 503])
    def test_a_busy_hub_is_asked_again_with_one_note(self, hub, notes, status):
        hub.failures["api"], hub.times["api"] = status, 1
        hub.headers["Retry-After"] = "0"
        assert resolve("acme/tiny").revision == COMMIT
        assert notes == [f"layerclaims: {limits._down(answer(status)).args[0]}; trying again"]

    def test_a_hub_that_asks_for_an_hour_is_not_waited_for(self, hub):
        for kind in ("api", "HEAD", "GET"):
            hub.failures = {kind: 429}
            hub.headers["Retry-After"] = "3600"
            assert "429 (Too Many Requests), to be asked again in 3600 s" in refusal("acme/tiny")

    def test_a_file_that_broke_off_once_is_fetched(self, hub, files):
        hub.failures["GET"], hub.times["GET"] = "reset", 1
        assert (resolve("acme/tiny").path / WEIGHTS).read_bytes() == files[WEIGHTS]

    def test_the_users_client_is_put_back(self):
        from huggingface_hub import get_session

        hooks = get_session().event_hooks
        resolve("acme/tiny")
        assert get_session().event_hooks == hooks


def answer(status):
    class Answer:
        status_code = status
        headers = {"Retry-After": "0"}  # noqa: RUF012

    return Answer


class TestCache:
    @pytest.mark.parametrize("failure", ["silence", "reset", 429, 500, 503])
    def test_it_stands_in_for_a_hub_that_is_down_and_says_so(self, hub, notes, failure, monkeypatch):
        before = resolve("acme/tiny")
        hub.failures["api"] = failure
        monkeypatch.setattr(limits, "ANSWER", 0.3)
        hub.headers["Retry-After"] = "0"
        assert resolve("acme/tiny") == before
        assert COMMIT in notes[-1]

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_it_does_not_stand_in_for_a_hub_that_refuses(self, hub, status):
        resolve("acme/tiny")
        hub.failures["api"] = status
        refusal("acme/tiny")

    def test_nothing_is_asked_offline(self, hub, monkeypatch):
        before = resolve("acme/tiny")
        hub.seen.clear()
        assert resolve("acme/tiny", offline=True) == before
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert resolve("acme/tiny") == before
        assert hub.seen.total() == 0

    def test_the_switch_of_the_environment_is_named(self, monkeypatch):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        said = refusal("acme/tiny")
        assert "is not in the hub's local cache, and HF_HUB_OFFLINE is set" in said
        assert "reached" not in said.split(":")[0]

    @pytest.mark.parametrize("asked", ["nope", OTHER, "v1.0"])
    def test_a_revision_that_is_not_cached_is_refused_with_the_commits_that_are(self, asked):
        resolve("acme/tiny")
        said = refusal(f"acme/tiny@{asked}", offline=True)
        assert COMMIT in said
        assert f"than '{asked}' only" in said

    def test_the_commit_is_that_of_the_files_where_a_branch_has_moved(self, hub, files):
        resolve("acme/tiny")
        hub.serve("acme/tiny", files, OTHER)
        assert resolve("acme/tiny", offline=True).revision == COMMIT
        assert resolve("acme/tiny").revision == OTHER
        assert resolve("acme/tiny", offline=True).revision == OTHER
        assert resolve(f"acme/tiny@{COMMIT}", offline=True).revision == COMMIT

    def test_a_fetch_that_broke_off_leaves_the_whole_commit_in_use(self, hub, files, notes):
        resolve("acme/tiny")
        hub.serve("acme/tiny", files | {"config.json": files["config.json"] + b" "}, OTHER)
        hub.failures["GET"] = "reset"
        assert resolve("acme/tiny").revision == COMMIT
        assert COMMIT in notes[-1]

    def test_a_part_of_a_model_is_not_a_model(self):
        path = resolve("acme/tiny").path
        (path / WEIGHTS).unlink()
        said = refusal("acme/tiny", offline=True)
        assert f"is only partly in the hub's local cache (commit {COMMIT} lacks '{WEIGHTS}')" in said
        resolve("acme/tiny")

    @pytest.mark.parametrize("commit", ["", "../../..", "x" * 40, COMMIT + "\n"])
    def test_a_reference_that_holds_no_commit_is_not_followed(self, commit):
        path = resolve("acme/tiny").path
        (path.parents[1] / "refs" / "main").write_text(commit)
        assert "at other revisions than 'main' only" in refusal("acme/tiny", offline=True)

    def test_a_damaged_file_is_refused(self):
        weights = (resolve("acme/tiny").path / WEIGHTS).resolve()
        body = bytearray(weights.read_bytes())
        body[-1] ^= 1
        weights.write_bytes(body)
        assert f"'{WEIGHTS}' in the hub's local cache is damaged" in refusal("acme/tiny", offline=True)
