"""Fixtures of the tests of what is shipped."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT
from tests.deploy.installation import installation

__all__ = ["installation"]


def make_secrets(folder: Path) -> Path:
    """What `make secrets` does, in another folder."""
    subprocess.run([ROOT / "deploy/make-secrets", folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Secrets as they are before anybody has filled in any."""
    return make_secrets(tmp_path / "secrets")
