"""A repository of the hub: asked within limits, read out of its client's cache, and why neither will do."""

import contextlib
import http
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import progress as screen
from layerclaims.runtime.counting import MEGABYTE, Counted, free_on_disk
from layerclaims.runtime.files import write_whole
from layerclaims.runtime.text import brief, byte_size, inert, shown

CONNECT: Final = 3.0  # seconds for a connection to one address
ANSWER: Final = (
    10.0  # seconds for the hub's first answer in all, later from one piece of an answer to the next
)
TRIES: Final = 3  # of one request
WAIT: Final = 20.0  # seconds in all that are waited for a hub which says that it is busy
COMMIT: Final = re.compile("[0-9a-f]{40}")
BUSY: Final = (429, 503)  # statuses that ask for another try

SPARE: Final = 64_000_000  # bytes left free on the disk
Get = Callable[..., Path]  # names of files in the repository -> where the first lies after all were fetched


class HubError(Exception):
    """Why a repository cannot be had, as the end of a sentence that begins with its name."""


class HubDownError(HubError):
    """The hub gives no answer, or none about the repository: what the cache holds will do instead."""

    def __init__(self, why: str, *, wait: float | None = None) -> None:
        """Keep how many seconds to wait before another try, None where none is worth it."""
        super().__init__(why)
        self.wait = wait


def is_revision(text: str) -> bool:
    """Whether a text can be a commit, branch or tag: `refs/pr/1` is one. It becomes part of a path in the cache."""
    return bool(re.fullmatch(r"[A-Za-z0-9_][\w.+/-]{0,199}", text)) and not re.search(r"\.\.|//|/\.|/$", text)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository at a revision that `is_revision`."""

    kind: Literal["model", "dataset"]
    name: str  # owner/name
    revision: str = "main"  # as asked

    @property
    def folder(self) -> Path:
        """Where the hub's client keeps it: refs/REVISION holds a commit, snapshots/COMMIT/ the files."""
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE) / f"{self.kind}s--{self.name.replace('/', '--')}"

    def cached(self) -> Path:
        """The snapshot of the revision in the cache, whole or not; raises HubError where there is none."""
        commit = self.revision
        if not COMMIT.fullmatch(commit):
            try:
                commit = (self.folder / "refs" / self.revision).read_text(encoding="ascii")
            except (OSError, ValueError):
                commit = ""
        snapshot = self.folder / "snapshots" / commit
        if COMMIT.fullmatch(commit) and snapshot.is_dir():
            return snapshot
        try:
            kept = sorted(path.name for path in (self.folder / "snapshots").iterdir() if path.is_dir())
        except OSError:
            kept = []
        if not kept:
            raise HubError("is not in the hub's local cache")
        commits = ", ".join(inert(name, 40) for name in kept[:5])
        raise HubError(
            f"is in the hub's local cache at other revisions than {shown(self.revision)} only, the commits {commits}"
        )


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file of a repository, as the hub tells of it."""

    size: int  # bytes; 0 where the hub does not say
    blob: str | None  # its name in the cache


def obtain(
    repository: Repository,
    *,
    fetch: Callable[[frozenset[str], Get], None],
    missing: Callable[[Path], str | None],
    offline: bool,
) -> Path:
    """Snapshot directory with what is wanted of a repository; its name is the commit that the files are of.

    `fetch` is given the names of the repository's files and a function that fetches some; `missing` names a wanted
    file that a snapshot lacks. Where the hub is down, what the cache holds is taken, with a note; where it refuses,
    nothing is. Raises HubError.
    """
    if offline or (switch := _switched_off()):
        why = "" if offline else f", and {switch} is set, so the hub is not asked"
        return _whole(repository, missing, why)
    try:
        with _bounded():
            commit, there = _ask(repository)
            fetch(frozenset(there), lambda *files: _get_all(repository, commit, there, files))
    except HubDownError as error:
        snapshot = _whole(repository, missing, f" and {error}")
        screen.note(
            f"layerclaims: {repository.name} is read from the hub's local cache, commit {snapshot.name}: {error}"
        )
        return snapshot
    if repository.revision != commit:
        # last, so that a fetch that broke off leaves the revision at the commit that is whole
        with contextlib.suppress(LayerclaimsError):  # a cache that can only be read does as well
            write_whole(repository.folder / "refs" / repository.revision, commit.encode(), parents=True)
    return repository.folder / "snapshots" / commit


def _whole(repository: Repository, missing: Callable[[Path], str | None], why: str) -> Path:
    """The cached snapshot, if nothing is missing in it."""
    try:
        snapshot = repository.cached()
    except HubError as error:
        raise HubError(f"{error}{why}") from error
    if (absent := missing(snapshot)) is not None:
        raise HubError(
            f"is only partly in the hub's local cache (commit {snapshot.name} lacks {shown(absent)}){why}"
        )
    return snapshot


def _switched_off() -> str | None:
    """The variable of the environment that forbids the hub's client to ask, if one does."""
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        return None
    return "TRANSFORMERS_OFFLINE" if not os.environ.get("HF_HUB_OFFLINE") else "HF_HUB_OFFLINE"


def _ask(repository: Repository) -> tuple[str, dict[str, _File]]:
    """Commit of the revision and its files by name, as the hub has them; raises HubError."""
    from huggingface_hub import HfApi, constants

    def question() -> Any:
        # an endpoint that is named here is read when it is asked, and not when the client was imported
        api = HfApi(endpoint=constants.ENDPOINT)
        return api.repo_info(
            repository.name,
            repo_type=repository.kind,
            revision=repository.revision,
            timeout=ANSWER,
            files_metadata=True,
        )

    patience = WAIT
    for attempt in range(1, TRIES + 1):
        try:
            info = _within(ANSWER, question)
            break
        except Exception as error:  # the client raises a dozen kinds, and changes them
            failure = _failure(error, repository)
            wait = failure.wait if isinstance(failure, HubDownError) else None
            if attempt == TRIES or wait is None or wait > patience:
                raise failure from error
            if attempt == 1:
                screen.note(f"layerclaims: {failure}; trying again")
            patience -= wait
            time.sleep(wait)
    commit = str(info.sha)
    if not COMMIT.fullmatch(commit):
        raise HubError("is answered for without a commit; HF_ENDPOINT must name a hub")
    if COMMIT.fullmatch(repository.revision) and commit != repository.revision:
        raise HubError(f"is answered for with commit {commit} in place of the one that was asked for")
    return commit, {
        sibling.rfilename: _File(
            size=sibling.size or 0, blob=sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        )
        for sibling in info.siblings or []
    }


def _within(seconds: float, question: Callable[[], Any]) -> Any:
    """The answer to a question, or TimeoutError. Looking up a name and trying its addresses one after the other
    take as long as they like, whatever limit the client is given.
    """
    answers: list[Any] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(question())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError
    return answers[0]


def _get_all(repository: Repository, commit: str, there: dict[str, _File], files: Sequence[str]) -> Path:
    """Fetch files of a commit into the cache, showing how far it is; where the first lies. Raises HubError.

    Whether the disk has room for all of them is known before the first byte.
    """
    cached = repository.folder / "blobs"
    absent = [there[file] for file in files if not (cached / (there[file].blob or "-")).exists()]
    size = sum(file.size for file in absent)
    free = free_on_disk(repository.folder)
    if size and size + SPARE > free:
        raise HubError(
            f"takes {byte_size(size)}, and the hub's local cache, {shown(repository.folder.parent)}, has "
            f"{byte_size(free)} free; make room there, or set HF_HUB_CACHE to a folder of another disk"
        )
    with screen.Progress(f"fetching {repository.name}", max(1, size // MEGABYTE), "MB") as bar:
        counted = Counted(bar)
        places = [_get(repository, commit, file, counted) for file in files]
    return places[0]


def _get(repository: Repository, commit: str, file: str, counted: Counted) -> Path:
    """Fetch a file of a commit into the cache; raises HubError."""
    from huggingface_hub import constants, hf_hub_download

    for attempt in range(1, TRIES + 1):
        try:
            path = hf_hub_download(
                repository.name, file, repo_type=repository.kind, revision=commit,
                endpoint=constants.ENDPOINT, etag_timeout=ANSWER, tqdm_class=counted.kind(),
            )  # fmt: skip
            break
        except Exception as error:
            failure = _failure(error, repository)
            if attempt == TRIES or not isinstance(failure, _BrokenOffError):
                raise failure from error
    # the client makes the path of the commit that the server says
    if not Path(path).is_relative_to(repository.folder / "snapshots" / commit):
        raise HubError(f"is given by the hub at another commit than {commit}")
    return Path(path)


class _BrokenOffError(HubDownError):
    """A connection that broke off, which another try may mend."""


def _failure(error: Exception, repository: Repository) -> HubError:
    """What an error of the hub's client means."""
    from huggingface_hub import errors

    for cause in (error, error.__cause__):  # the client says "not in the cache" of a hub that is down
        if isinstance(cause, HubError):
            return cause
        if isinstance(cause, errors.HfHubHTTPError):
            return _refusal(cause, repository)
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return HubDownError(f"the hub does not answer within {ANSWER:g} s")
        if isinstance(cause, errors.HTTPError):  # type: ignore[attr-defined]  # of httpx, or of httpx2
            if "Connect" in type(cause).__name__ or "Proxy" in type(cause).__name__:
                return HubDownError(f"the hub cannot be reached ({brief(cause)})")
            return _BrokenOffError(f"the connection to the hub broke off ({brief(cause)})")
    return HubError(f"could not be fetched ({brief(error)})")


def _refusal(error: Any, repository: Repository) -> HubError:
    """What a status of 400 or more means."""
    from huggingface_hub import errors, get_token

    status: int = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return HubError("is gated on the hub and your token gives no access")
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(f"has no revision {shown(repository.revision)} on the hub")
    if status == 401 and get_token() is not None:
        return HubError("cannot be had with your token, which the hub refuses (401); it may have expired")
    if status == 401 or isinstance(error, errors.RepositoryNotFoundError):
        return HubError("does not exist on the hub, or is private")
    if status in BUSY or status >= 500:
        return _down(error.response)
    said = f": {inert(error.server_message, 100)}" if error.server_message else ""
    return HubError(f"is refused by the hub ({_phrase(status)}{said})")


def _down(response: Any) -> HubDownError:
    """What a status says of a hub that has no answer to any question."""
    after = str(response.headers.get("Retry-After", "")).strip()
    wait = (
        (float(after) if re.fullmatch(r"\d{1,9}", after) else 1.0) if response.status_code in BUSY else None
    )
    asks = f", to be asked again in {wait:.0f} s" if wait is not None and wait > WAIT else ""
    return HubDownError(f"the hub answers {_phrase(response.status_code)}{asks}", wait=wait)


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return f"{status} ({http.HTTPStatus(status).phrase})"
    return str(status)


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Keep the hub's client quiet and within limits: by itself it may wait for ever, and repeat for minutes."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http, logging
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    factory = _http._GLOBAL_CLIENT_FACTORY  # the client gives no other way to put it back
    asked: Counter[tuple[str, str, str]] = Counter()
    last = HubDownError("the hub does not answer, or breaks off")

    def before(request: Any) -> None:
        request.extensions["timeout"] = {
            "connect": CONNECT, "read": ANSWER, "write": ANSWER, "pool": ANSWER
        }  # fmt: skip
        # a file that is resumed asks for another range
        key = request.method, str(request.url), request.headers.get("Range", "")
        asked[key] += 1
        if asked[key] > TRIES:
            raise last

    def after(response: Any) -> None:
        nonlocal last
        if response.status_code in BUSY or response.status_code >= 500:
            last = _down(response)
            if last.wait is not None and last.wait > WAIT:
                raise last

    def client() -> Any:
        made = factory()
        hooks = made.event_hooks
        made.event_hooks = {
            "request": [*hooks.get("request", ()), before],
            "response": [*hooks.get("response", ()), after],
        }
        return made

    silent, level = are_progress_bars_disabled(), logging.get_verbosity()
    set_client_factory(client)
    disable_progress_bars()
    logging.set_verbosity(50)  # nothing but what is critical
    try:
        yield
    finally:
        set_client_factory(factory)
        logging.set_verbosity(level)
        if not silent:
            enable_progress_bars()
