"""The store: what is read back, and that damage is seen."""

import json
import shutil

import numpy as np
import pytest
import torch
from layerclaims.activations import shards as module
from layerclaims.activations.shards import PLACE, TENSOR, shard_header, shard_name, shard_place
from layerclaims.activations.store import STORE_VERSION, ActivationStore, write_manifest
from layerclaims.errors import DamagedStatesError, LayerclaimsError
from layerclaims.runtime.dtypes import DTYPES
from layerclaims.runtime.files import sha256_file, write_whole
from layerclaims.runtime.paths import MANIFEST, key_name
from safetensors.torch import save

STATES, DOCUMENTS, POSITIONS, HIDDEN = 4, 7, 3, 5
SHARDS = (3, 3, 1)
KEY = key_name({})

MODEL = {
    "name": "m", "revision": None, "architecture": "A", "n_blocks": STATES - 2, "hidden_size": HIDDEN,
    "n_parameters": 1, "dtype": "float32", "tied_embeddings": False, "weights_sha256": "0" * 64,
    "bos_added": False, "final_norm": True,
}  # fmt: skip


def values():
    return np.random.default_rng(0).normal(0, 1000, (STATES, DOCUMENTS, POSITIONS, HIDDEN)).astype(np.float32)


def make(directory, dtype="float32"):
    directory.mkdir(parents=True, exist_ok=True)
    tensor, shards, start = torch.from_numpy(values()), [], 0
    for number, n in enumerate(SHARDS):
        path = directory / shard_name(number)
        part = tensor[:, start : start + n].contiguous().to(getattr(torch, dtype))
        write_whole(path, save({TENSOR: part}, metadata={PLACE: shard_place(KEY, path.name)}))
        shards.append(
            {"name": path.name, "sha256": sha256_file(path), "bytes": path.stat().st_size, "documents": n}
        )
        start += n
    content = {
        "schema_version": STORE_VERSION, "key": {}, "model": MODEL, "corpus": {}, "dtype": dtype, "shards": shards,
        "shape": [STATES, DOCUMENTS, POSITIONS, HIDDEN], "document_ids": list(range(DOCUMENTS)),
        "token_ids": np.arange(DOCUMENTS * POSITIONS).reshape(DOCUMENTS, POSITIONS).tolist(),
    }  # fmt: skip
    write_manifest(directory, content)
    return directory


@pytest.fixture
def directory(tmp_path):
    return make(tmp_path / "s")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shard_is_the_library_s_file_byte_for_byte(dtype):
    for n in SHARDS:
        part = torch.from_numpy(values())[:, :n].contiguous().to(getattr(torch, dtype))
        data = part.view(torch.uint8).numpy().tobytes()
        place = shard_place(KEY, shard_name(n))
        assert shard_header(dtype, part.shape, place=place) + data == save(
            {TENSOR: part}, metadata={PLACE: place}
        )


class TestReading:
    def test_every_state_comes_back_in_order(self, directory):
        store = ActivationStore.open(directory)
        assert (store.n_states, store.n_documents, store.n_positions, store.hidden_size) == (4, 7, 3, 5)
        assert (store.n_blocks, store.final) == (2, 3)
        for i in range(STATES):
            got = store.state(i)
            assert np.array_equal(got, values()[i])
            assert got.dtype == np.float32
            assert got.flags.c_contiguous
            assert got.flags.writeable
        blocks = [np.stack(list(block)) for block in store.blocks([2, 0])]
        assert [block.shape[1] for block in blocks] == list(SHARDS)
        assert np.array_equal(np.concatenate(blocks, axis=1), values()[[2, 0]])

    @pytest.mark.parametrize(
        "documents",
        [
            slice(2, 5),
            slice(None, None, -2),
            np.array([6, 0, 3, 3]),
            np.array([-1]),
            np.array([], dtype=np.intp),
        ],
    )
    def test_documents_come_in_the_order_asked_for(self, directory, documents):
        assert np.array_equal(ActivationStore.open(directory).state(1, documents), values()[1][documents])

    @pytest.mark.parametrize("dtype", sorted(DTYPES))
    def test_narrow_types_are_upcast_as_torch_does(self, tmp_path, dtype):
        expected = torch.from_numpy(values()).to(getattr(torch, dtype)).float().numpy()
        assert np.array_equal(ActivationStore.open(make(tmp_path / dtype, dtype)).state(2), expected[2])

    @pytest.mark.parametrize("state", [-1, STATES])
    def test_a_state_that_is_not_there_is_an_index_error(self, directory, state):
        with pytest.raises(IndexError, match=f"state {state} is not among the 4 states 0..3"):
            ActivationStore.open(directory).state(state)
        with pytest.raises(IndexError, match=f"state {state} is not among the 4 states 0..3"):
            list(ActivationStore.open(directory).blocks([0, state]))

    def test_a_document_that_is_not_there_is_an_index_error(self, directory):
        with pytest.raises(IndexError):
            ActivationStore.open(directory).state(0, np.array([DOCUMENTS]))

    def test_token_ids_are_kept(self, directory):
        store = ActivationStore.open(directory)
        assert store.token_ids.tolist() == np.arange(21).reshape(7, 3).tolist()
        assert store.token_ids.dtype == np.int64


class TestDamage:
    def test_a_sound_store_verifies(self, directory):
        assert ActivationStore.open(directory).verify() == {}

    def test_no_manifest_is_no_store(self, directory):
        (directory / MANIFEST).unlink()
        with pytest.raises(LayerclaimsError, match="no finished store"):
            ActivationStore.open(directory)

    def test_a_deleted_shard_is_seen(self, directory):
        store = ActivationStore.open(directory)
        (directory / shard_name(1)).unlink()
        assert store.verify() == {shard_name(1): "it is missing"}
        with pytest.raises(LayerclaimsError, match="missing or cut off"):
            ActivationStore.open(directory)
        with pytest.raises(LayerclaimsError, match="it is missing"):
            store.state(0)

    def test_a_shard_cut_at_any_boundary_is_seen(self, directory):
        path = directory / shard_name(2)
        whole = path.read_bytes()
        store = ActivationStore.open(directory)
        for size in (0, 7, 8, 40, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(LayerclaimsError):
                ActivationStore.open(directory)
            with pytest.raises(LayerclaimsError):
                store.state(0)

    def test_a_flipped_byte_is_found_by_verify_wherever_it_lies(self, directory):
        store = ActivationStore.open(directory)
        path = directory / shard_name(0)
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert list(store.verify()) == [shard_name(0)]
            with pytest.raises(DamagedStatesError):
                store.state(1)

    def test_a_flipped_byte_in_the_manifest_is_seen_when_it_is_opened(self, directory):
        path = directory / MANIFEST
        whole = path.read_bytes()
        for at in range(len(whole) - 1):  # all but the newline at the end
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(LayerclaimsError, match="is damaged"):
                ActivationStore.open(directory)

    def test_a_number_of_the_manifest_that_was_changed_is_seen(self, directory):
        path = directory / MANIFEST
        content = json.loads(path.read_text())
        content["token_ids"][0][0] += 1
        path.write_text(json.dumps(content))
        with pytest.raises(LayerclaimsError, match="is damaged"):
            ActivationStore.open(directory)

    def test_a_shard_of_another_shape_is_refused(self, directory):
        path, place = directory / shard_name(2), shard_place(KEY, shard_name(2))
        write_whole(path, save({TENSOR: torch.zeros(STATES, 1, HIDDEN, POSITIONS)}, metadata={PLACE: place}))
        content = json.loads((directory / MANIFEST).read_text())
        content["shards"][2] |= {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        write_manifest(directory, content)
        with pytest.raises(DamagedStatesError, match="does not hold what its manifest says"):
            ActivationStore.open(directory).state(0)

    def test_swapped_shards_are_seen_before_a_number_is_read(self, directory):
        one, other = (directory / shard_name(number) for number in (0, 1))
        store = ActivationStore.open(directory)
        store.state(0)
        swap(one, other)
        assert store.verify() == {
            shard_name(0): f"it is states/{KEY}/{shard_name(1)}, which belongs elsewhere",
            shard_name(1): f"it is states/{KEY}/{shard_name(0)}, which belongs elsewhere",
        }
        for one in (store, ActivationStore.open(directory)):
            with pytest.raises(DamagedStatesError, match="belongs elsewhere"):
                one.state(0)
            with pytest.raises(DamagedStatesError, match="belongs elsewhere"):
                list(one.blocks([1]))

    def test_bytes_that_are_written_over_after_a_read_are_seen_at_the_next(self, directory):
        store = ActivationStore.open(directory)
        store.state(0)
        path = directory / shard_name(2)
        with path.open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"x")
        with pytest.raises(DamagedStatesError, match="bytes are not those"):
            store.state(0)

    def test_a_manifest_that_names_other_files_is_damaged(self, directory):
        content = json.loads((directory / MANIFEST).read_text())
        content["shards"][1]["name"] = "../s/" + shard_name(1)
        write_manifest(directory, content)
        with pytest.raises(LayerclaimsError, match="is damaged"):
            ActivationStore.open(directory)

    def test_a_copy_under_another_name_is_read_like_the_first(self, directory, tmp_path):
        shutil.copytree(directory, tmp_path / "copy")
        copy = ActivationStore.open(tmp_path / "copy")
        assert np.array_equal(copy.state(1), values()[1])
        assert (copy.key, copy.digest) == (KEY, ActivationStore.open(directory).digest)

    def test_another_schema_version_is_refused(self, directory):
        content = json.loads((directory / MANIFEST).read_text())
        write_manifest(directory, {**content, "schema_version": 99})
        with pytest.raises(LayerclaimsError, match="schema version 99"):
            ActivationStore.open(directory)


def swap(one, other):
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


class TestWork:
    @pytest.fixture
    def hashed(self, monkeypatch):
        """The names of the shards whose bytes were read, in order."""
        names, real = [], module.sha256_file
        monkeypatch.setattr(module, "sha256_file", lambda path: names.append(path.name) or real(path))
        return names

    def test_a_shard_is_hashed_once_however_many_stores_read_it(self, directory, hashed, monkeypatch):
        monkeypatch.setattr(module, "TICK", -(10**18))  # as if the files had been there for long
        for store in [ActivationStore.open(directory) for _ in range(2)]:
            for state in range(STATES):
                store.state(state)
            list(store.blocks([0, 1]))
        assert hashed == [shard_name(number) for number in range(len(SHARDS))]

    def test_to_open_a_store_and_to_look_at_its_manifest_hashes_nothing(self, directory, hashed):
        store = ActivationStore.open(directory)
        assert store.n_documents == DOCUMENTS
        assert len(store.digest) == 64
        assert hashed == []
