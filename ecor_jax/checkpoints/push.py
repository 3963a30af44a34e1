"""Uploads model directories to the Hugging Face hub (`ecor-jax push`)."""

import re
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import LocalTokenNotFoundError, RepositoryNotFoundError

from ecor_jax.checkpoints.card import FILE
from ecor_jax.checkpoints.model_dir import OWN, WEIGHTS
from ecor_jax.checkpoints.origin import KEY
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_ALWAYS = {".gitattributes", FILE}
"""Files that a repository may contain before its model: the one the hub creates, and a model card."""


def push(directory: Path, name: str, *, private: bool = False) -> str:
    """Uploads a model directory to the repository USER/NAME, which is created if needed; returns the commit's URL.

    Model files in the repository that the directory lacks are deleted. Raises UserError if `directory` is not a model
    directory, if the repository has other contents, or if the hub refuses.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{name}: no name of a repository; expected USER/NAME")
    for file in ("config.json", WEIGHTS, FILE):
        if not (directory / file).is_file():
            raise UserError(
                f"{directory}: no {file}; expected a model directory, as ecor-jax train or convert writes it"
            )
    files, api = sorted({*OWN, FILE}), HfApi()
    try:
        try:
            api.repo_info(name)
        except RepositoryNotFoundError:
            api.create_repo(name, private=private, exist_ok=True)
        else:
            _check_kind(api, name)
        commit: Any = api.upload_folder(
            repo_id=name,
            folder_path=directory,
            allow_patterns=files,
            delete_patterns=files,
            commit_message="ecor-jax push",
        )
    except UserError:
        raise
    except LocalTokenNotFoundError as error:
        raise UserError(f"{name}: who you are is not known here; log in by `hf auth login`, or set HF_TOKEN") from error
    except Exception as error:  # errors of the hub client, its HTTP library and the disk
        reason = next((line for line in str(error).split("\n") if line.strip()), type(error).__name__)
        raise UserError(f"{name}: cannot be written to ({reason})") from error
    return commit.commit_url


def _check_kind(api: HfApi, name: str) -> None:
    """Raises UserError if the repository contains anything but a model directory of ecor-jax."""
    there = set(api.list_repo_files(name)) - _ALWAYS
    is_model = "config.json" in there and KEY in read_object(Path(api.hf_hub_download(name, "config.json")))
    if there and not is_model:
        some = ", ".join(sorted(there)[:3])
        raise UserError(f"{name}: holds something else than a model of ecor-jax ({some}); choose another name")
