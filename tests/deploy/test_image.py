"""What the image is made of."""

import re
import tomllib
from fnmatch import fnmatch

from incidentd import __version__
from tests.deploy.composition import MAIN, SANDBOX, compose
from tests.deploy.dockerfile import ROOT, copied, stages, texts

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BASE, BUILD, FINAL = stages()


def test_all_that_is_copied_exists_and_is_sent_to_the_builder() -> None:
    ignored, kept = "*", []
    first, *lines = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert first == ignored
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for source, _ in [*copied(BUILD), *copied(FINAL)]:
        assert (ROOT / source).exists()
        assert any(fnmatch(source, pattern) for pattern in kept)


def test_what_is_sent_to_the_builder_is_needed() -> None:
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text("utf-8").split() if line[0] == "!"}
    assert kept == {source for source, _ in [*copied(BUILD), *copied(FINAL)]}


def test_the_base_is_pinned_and_fit() -> None:
    pinned = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-bookworm AS base", BASE[0].text)
    assert pinned
    assert (int(pinned[1]), int(pinned[2])) >= (3, 11)
    assert [stage[0].text.split()[0] for stage in (BUILD, FINAL)] == ["base", "base"]


def test_versions_are_the_pinned_ones_and_the_install_is_a_real_one() -> None:
    (install,) = [text for text in texts(BUILD, "RUN") if " install" in text]
    assert "--constraint constraints.txt ." in install
    assert "--editable" not in install


def test_no_installer_and_no_compiler_is_left() -> None:
    (run,) = texts(FINAL, "RUN")
    assert "pip uninstall --yes" in run
    assert "--without-pip" in texts(BUILD, "RUN")[0]
    assert not [text for stage in stages() for text in texts(stage, "RUN") if "apt-get" in text]


def test_it_runs_incidentd_as_a_user_without_root() -> None:
    assert texts(FINAL, "USER") == ["10001:10001"]
    (entrypoint,) = [each.words for each in FINAL if each.name == "ENTRYPOINT"]
    assert entrypoint == ["incidentd"]
    assert entrypoint[0] in PROJECT["scripts"]
    assert texts(FINAL, "STOPSIGNAL") == ["SIGTERM"]


def test_its_labels_and_tag_are_the_projects() -> None:
    labels = dict(word.split("=", 1) for each in FINAL if each.name == "LABEL" for word in each.words)
    prefix = "org.opencontainers.image"
    assert labels == {
        f"{prefix}.title": PROJECT["name"],
        f"{prefix}.description": PROJECT["description"],
        f"{prefix}.version": __version__,
        f"{prefix}.licenses": PROJECT["license"],
    }
    built = {each.raw["image"] for each in compose(MAIN, SANDBOX).services.values() if "build" in each.raw}
    assert built == {f"incidentd:{__version__}"}
