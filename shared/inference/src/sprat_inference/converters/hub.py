"""Download a model from a Hugging Face hub, pinned to one commit, or take a folder.

The client is `huggingface_hub`, under the rules of :mod:`sprat_inference.converters.hub_client`. Its own variables
apply: `HF_ENDPOINT` for a mirror, `HF_TOKEN` for models that need consent, `HF_HOME` for the cache, `HF_HUB_OFFLINE=1`
to use the cache alone.
"""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat_inference.converters.hub_client import HubRules, check_downloaded
from sprat_inference.converters.readme import read_readme

HOW_TO_INSTALL: Final = (
    "pip install --find-links dist 'sprat-inference[hub]' (dist: from make wheels; in a checkout: -e "
    "'shared/inference[hub]')"
)
"""The packages of this folder: the hub's client, safetensors, and the original to compare with."""

FILES: Final = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "source.spm",
    "target.spm",
    "sentencepiece.bpe.model",
    "vocab.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "*_Pooling/config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "README.md",
    "LICENSE*",
)
"""What is downloaded: no code, no pickle."""

_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?")
_SPARE: Final = 2
"""Free disk space that is needed, as a multiple of the download: the artefact is written beside it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a model, and where they come from."""

    folder: Path
    name: str
    """The last part of the id, or the folder's name."""
    where: str
    """For the card: `ID@COMMIT`, or the folder's name."""
    licence: str | None
    """SPDX identifier as the README states it; None if it states none."""
    languages: tuple[str, ...]
    """BCP 47 tags as the README states them."""
    id: str | None = None
    """On the hub; None for a folder."""

    def fetch(self, name: str) -> Path | None:
        """Return a further file of the model, once it and those whose names go on after its own are there.

        None where the model has no such file.

        Raises:
            UserError: it cannot be downloaded.
        """
        if self.id is not None:
            _download(self.id, self.folder.name, (f"{name}*",))
        path = self.folder / name
        return path if path.is_file() else None


def find_source(model: str) -> Source:
    """Return the files of `model`: a folder, or an id, with `@` and a revision if it is not the latest.

    Raises:
        UserError: there is no such folder or model, it may not be read, or the disk is too small.
    """
    if (folder := Path(model).expanduser()).is_dir():
        name = folder.resolve().name
        return _described(folder, name, f"the folder {name}")
    id, _, revision = model.partition("@")
    if model.startswith((".", "/", "~")) or not _ID.fullmatch(id):
        raise UserError(f"{model}: no such folder; give a folder, or the id of a model as on the hub: owner/name")
    if revision.startswith("/") or ".." in revision:  # no name in git either; it becomes a path of the cache
        raise UserError(f"{model}: the model has no such revision; name a branch, a tag or a commit")
    folder = _download(id, revision or None, FILES)
    return replace(_described(folder, id.rpartition("/")[2], f"{id}@{folder.name}"), id=id)


def _download(id: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Return the folder of the cache that holds these files of the model; its name is the commit."""
    from httpx2 import HTTPError, InvalidURL, TimeoutException  # noqa: PLC0415 - of huggingface_hub 2: an extra, which services do not install
    from huggingface_hub import HfApi, constants, snapshot_download  # noqa: PLC0415 - likewise
    from huggingface_hub import errors as hub  # noqa: PLC0415 - likewise
    from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415 - likewise

    at = f"{id}@{revision}" if revision else id
    if not sys.stderr.isatty():
        disable_progress_bars()
    offline = constants.is_offline_mode()
    commit = revision
    try:
        if not offline:
            rules = HubRules.load()
            rules.install()
            info = HfApi().model_info(id, revision=revision, files_metadata=True)
            sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
            _check_disk(at, sum(size for name, size in sizes.items() if any(fnmatch(name, each) for each in patterns)))
            # Given a commit, the library does not ask for one again: it would make paths of whatever is stated.
            commit = rules.check_commit(info.sha, revision)
        folder = Path(snapshot_download(id, revision=commit, allow_patterns=list(patterns), local_files_only=offline))
    except hub.GatedRepoError:
        raise UserError(f"{at}: its authors ask for consent; give it on the model's page, then set HF_TOKEN") from None
    except hub.RevisionNotFoundError:
        raise UserError(f"{at}: the model has no such revision; name a branch, a tag or a commit") from None
    except hub.RepositoryNotFoundError:
        raise UserError(f"{at}: the hub has no such model, or it is private; check the name, or set HF_TOKEN") from None
    except TimeoutException:
        raise UserError(
            f"{at}: {constants.ENDPOINT} did not answer within {constants.HF_HUB_DOWNLOAD_TIMEOUT} s; try again, or "
            "set HF_HUB_DOWNLOAD_TIMEOUT to more seconds"
        ) from None
    except (hub.HfHubHTTPError, HTTPError, InvalidURL, OSError) as error:
        if offline and isinstance(error, hub.LocalEntryNotFoundError):
            raise UserError(
                f"{at}: is not in the cache, and HF_HUB_OFFLINE is set; download it once without it"
            ) from None
        raise UserError(
            f"{at}: {constants.ENDPOINT} cannot be used ({type(error).__name__}); HF_ENDPOINT names a mirror, and a "
            "folder that you downloaded elsewhere can be given instead"
        ) from None
    except ValueError as error:  # a name or an answer that the library refuses
        raise UserError(f"{at}: the hub's answer cannot be used ({str(error)[:200]!r}); take another hub") from None
    check_downloaded(folder, Path(constants.HF_HUB_CACHE))
    _note_commit(folder, revision or constants.DEFAULT_REVISION)
    return folder


def _note_commit(folder: Path, revision: str) -> None:
    """Write the commit of a revision to the cache, where the library looks for it offline."""
    commit, ref = folder.name, folder.parents[1] / "refs" / revision
    if revision == commit or (ref.is_file() and ref.read_text() == commit):
        return
    with suppress(OSError):  # of a cache that is read-only: what is in it can be used all the same
        ref.parent.mkdir(parents=True, exist_ok=True)
        new = ref.with_name(f"{ref.name}.{os.getpid()}.tmp")
        new.write_text(commit)
        new.replace(ref)


def _check_disk(at: str, size: int) -> None:
    from huggingface_hub import constants  # noqa: PLC0415 - an extra, which services do not install

    cache = Path(constants.HF_HUB_CACHE)
    place = next(each for each in (cache, *cache.parents) if each.exists())
    if (free := shutil.disk_usage(place).free) < _SPARE * size:
        raise UserError(
            f"{at}: needs {_SPARE * size / 1e9:.1f} GB, {place} has {free / 1e9:.1f} GB free; "
            "HF_HOME names another place"
        )


def _described(folder: Path, name: str, where: str) -> Source:
    stated = read_readme(folder / "README.md")
    return Source(folder, name, where, stated.licence, stated.languages)
