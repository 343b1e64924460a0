"""What the image holds works outside the checkout, without anything of the checkout in reach."""

import subprocess
from pathlib import Path

import pytest
import requests

from incidentd import __version__
from tests.deploy.dockerfile import ROOT
from tests.e2e.part import is_ready, part
from tests.e2e.up import environment
from tests.servers import free_port, wait_until

TOKENS = {"INCIDENTD_WEBHOOK_TOKEN": "a-webhook-token-of-the-test", "INCIDENTD_API_TOKEN": "an-api-token-of-the-test"}


@pytest.mark.timeout(900)
def test_the_installed_package_migrates_serves_its_pages_and_carries_the_sandbox(
    installation: Path, tmp_path: Path
) -> None:
    program, listen = installation / "incidentd", f"127.0.0.1:{free_port()}"
    settings = {
        "INCIDENTD_DATABASE_URL": f"sqlite:///{tmp_path / 'incidentd.db'}",
        "INCIDENTD_RULES": str(ROOT / "rules"),
        "INCIDENTD_LISTEN": listen,
        **TOKENS,
    }
    assert imported_from(installation, tmp_path).is_relative_to(installation.parent)
    assert said(program, "--version", cwd=tmp_path) == f"incidentd {__version__}\n"
    assert "serve" in said(program, "--help", cwd=tmp_path)
    assert "up to date" in said(program, "migrate", cwd=tmp_path, **settings)
    with part("serve", settings, tmp_path, program=program):
        wait_until(lambda: is_ready(listen), "the web part")
        link = said(program, "link", cwd=tmp_path, **settings).strip()
        page = requests.get(link, timeout=10)
        assert "All calm" in page.text
        assert requests.get(f"http://{listen}/static/page.css", timeout=10).ok
    sandbox = {"INCIDENTD_SLACK_SIGNING_SECRET": "signing-secret-of-the-test"}
    other = f"127.0.0.1:{free_port()}"
    with part("sandbox", sandbox, tmp_path, f"--listen={other}", "--mail=127.0.0.1:0", program=program):
        address = f"http://{other}/sandbox/"
        wait_until(lambda: is_answered(address), "the sandbox")
        assert "PagerDuty" in requests.get(address, timeout=10).text


def imported_from(installation: Path, cwd: Path) -> Path:
    """Where Python finds the package when it runs there."""
    argv = [str(installation / "python"), "-c", "import incidentd; print(incidentd.__file__)"]
    return Path(subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip())


def said(program: Path, *arguments: str, cwd: Path, **settings: str) -> str:
    """What a command prints that ends well."""
    argv = [str(program), *arguments]
    done = subprocess.run(
        argv, cwd=cwd, env=environment(**settings), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_answered(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
