"""Eight CPU devices, strict dtypes, and the folder of real data, for every test."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8".strip()
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images, rationales and weights' helpers; the test is skipped where it is missing."""
    folder = Path(os.environ.get("ECOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the data folder: set ECOR_DATA (looked at {folder})")
    return folder
