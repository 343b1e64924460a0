"""What the documentation says is so: links lead somewhere, and what it names exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from incidentd.classify import check, load, run_examples
from incidentd.cli.main import app
from incidentd.cli.reference import GROUPS, reference
from incidentd.settings import describe
from incidentd.tier import Tier

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_NAME = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
SOURCES = [path for folder in ("incidentd", "workers") for path in sorted((ROOT / folder).rglob("*.py"))]
RULES = load(ROOT / "rules")

ALERT_RULES = ROOT / "deploy/prometheus/incidentd.rules.yml"

OTHERWISE_LOGGED = {"hung"}
"""Said by a thread that is given the logger's method."""

_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def outside_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def spans(text: str) -> set[str]:
    """What stands between backquotes, blocks left out."""
    return set(re.findall(r"`([^`\n]+)`", outside_blocks(text)))


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", outside_blocks(text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(next(each for each in _numbered(anchor) if each not in found))
    return found


def _numbered(anchor: str) -> Iterator[str]:
    yield anchor
    yield from (f"{anchor}-{number}" for number in range(1, 100))


def cells(text: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, its head left out."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


@pytest.mark.parametrize("path", BY_NAME)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_blocks(text)):
        file, _, anchor = target.partition("#")
        if file.startswith(("http://", "https://")):
            continue
        other = (path.parent / file).resolve() if file else path
        assert other.exists(), target
        if anchor:
            assert anchor in anchors(other.read_text("utf-8")), target


@pytest.mark.parametrize("path", BY_NAME)
def test_paths_that_are_named_exist(path: Path) -> None:
    top = [each.name for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith(".")]
    made_by_running = {"var", "rules/shop.yaml", "deploy/secrets"}
    for name in spans(path.read_text("utf-8")):
        if re.fullmatch(rf"(?:{'|'.join(top)}|\.ci)/[\w./-]*", name) and not name.startswith(tuple(made_by_running)):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", BY_NAME)
def test_settings_that_are_named_exist(path: Path) -> None:
    known = {setting.name for setting in describe()} | RULES.secret_names
    for name in re.findall(r"\bINCIDENTD_[A-Z0-9_]*[A-Z0-9]", path.read_text("utf-8")):
        assert name.removesuffix("_FILE") in known, name


@pytest.mark.parametrize("path", BY_NAME)
def test_commands_that_are_named_exist(path: Path) -> None:
    root = typer.main.get_command(app)
    groups: dict[str, set[str]] = {name: set(getattr(each, "commands", ())) for name, each in root.commands.items()}  # type: ignore[attr-defined]
    text = path.read_text("utf-8").partition("\n## What it can't do yet")[0]
    shell = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [*spans(text), *(line.partition("#")[0] for block in shell for line in block.splitlines())]
    typed = (re.findall(r"(?:^|&& |web |bin/)incidentd ([a-z]+)(?![\w'])(?: ([a-z]+))?", line) for line in lines)
    for name, further in (found for each in typed for found in each):
        assert name in groups, name
        assert not groups[name] or further in groups[name], (name, further)


def test_targets_of_make_that_are_named_exist() -> None:
    made = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in PAGES:
        for target in re.findall(r"(?:`|^)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE):
            assert target in made, (path.name, target)


def logged() -> dict[str, set[str]]:
    """Every event that the code logs, with its levels."""
    found: dict[str, set[str]] = {}
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[ast.Constant(value=str(event)), *_]):
                    if level in _LEVELS and ast.unparse(logger).endswith(("log", "get_logger()")):
                        found.setdefault(event, set()).add(level)
    return found


def test_every_log_event_is_told_of_and_no_other() -> None:
    told = set(re.findall(r'"event": "([^"]+)"', page("operating.md")))
    assert told == set(logged()) | OTHERWISE_LOGGED, "docs/operating.md, under Logs"


@pytest.mark.parametrize("path", BY_NAME)
def test_log_events_that_are_named_exist(path: Path) -> None:
    named = set(re.findall(r'"event": "([^"]+)"', path.read_text("utf-8")))
    assert named <= set(logged()) | OTHERWISE_LOGGED


def test_every_metric_is_told_of_and_no_other() -> None:
    sources = [source for source in SOURCES if source.parent.name == "meter" or source.name == "metrics.py"]
    literals = " ".join(source.read_text("utf-8") for source in sources)
    code = set(re.findall(r'"(incidentd_[a-z_]+)"', literals))
    told = set(re.findall(r"`(incidentd_[a-z_]+)(?:\{[a-z,]+\})?`", page("operating.md")))
    assert told == code, "docs/operating.md, under Metrics"


@pytest.mark.parametrize("path", BY_NAME)
def test_metrics_that_are_named_exist(path: Path) -> None:
    known = set(re.findall(r"`(incidentd_[a-z_]+)(?:\{[a-z,]+\})?`", page("operating.md")))
    named = set(re.findall(r"`(incidentd_[a-z_]+?)(?:_bucket|_sum|_count)?(?:\{[^}]*\})?`", path.read_text("utf-8")))
    assert named <= known


def test_the_reference_of_settings_is_up_to_date() -> None:
    assert page("configuration.md") == reference(), "run `make docs`"


def test_every_setting_stands_in_the_reference_once() -> None:
    names = [f"INCIDENTD_{name.upper()}" for group in GROUPS for name in group.names]
    assert sorted(names) == sorted(setting.name for setting in describe())


def test_the_rules_that_are_explained_are_sound_and_their_examples_hold(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```", page("rules.md"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == page("rules.md").count("```yaml")
    for name, text in blocks:
        (tmp_path / name).write_text(text, "utf-8")
    rules = load(tmp_path)
    assert [result for result in run_examples(rules) if not result.holds] == []
    assert check(rules, {"INCIDENTD_PAGERDUTY_ROUTING_KEY", "INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER"}).warnings == ()


def fields_of_rules() -> set[str]:
    """Every field that the loader asks for by name."""
    found: set[str] = set()
    for source in sorted((ROOT / "incidentd/classify").glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="only"), args=arguments):
                    named: list[ast.expr] = arguments
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Tuple(elts=elements)):
                    named = elements if re.fullmatch(r"_\w*FIELDS|_CLOCKS", name) else []
                case _:
                    continue
            found |= {each.value for each in named if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found


def test_every_field_of_the_rules_is_explained() -> None:
    assert fields_of_rules() <= spans(page("rules.md"))


def test_the_tiers_are_as_the_shipped_rules_have_them() -> None:
    said = {row[0]: row[2:] for row in cells(page("model.md"), "Tiers")}
    for tier in Tier:
        policy = RULES.policies["default"].tiers[tier]
        lasts = policy.acknowledgement
        within = policy.response.within
        assert said[tier] == [
            _span(within.total_seconds()) if within else f"{policy.response.days} business day",
            _span(lasts.total_seconds()) if lasts else "for good",
            ", ".join(_span(level.duration.total_seconds()) for level in policy.levels) or "none",
        ]


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds % 3600 == 0 else f"{seconds / 60:.0f} min"


def test_the_map_of_the_tree_is_whole() -> None:
    listed = {name for row in cells(page("architecture.md"), "The map of the tree") for name in spans(row[0])}
    there = {
        f"incidentd/{each.name}{'/' if each.is_dir() else ''}"
        for each in (ROOT / "incidentd").iterdir()
        if not each.name.startswith("__") and each.suffix in ("", ".py")
    }
    assert {name for name in listed if name.startswith("incidentd/")} == there
    assert all((ROOT / name).exists() for name in listed)


@pytest.mark.skipif(not ALERT_RULES.exists(), reason="there are no alert rules yet")
def test_every_alert_about_incidentd_has_a_section_that_helps() -> None:
    groups = yaml.safe_load(ALERT_RULES.read_text("utf-8"))["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert alerts
    assert {name.lower() for name in alerts} <= anchors(page("troubleshooting.md"))


def test_pictures_are_light() -> None:
    for picture in (ROOT / "docs/images").iterdir():
        assert picture.stat().st_size < 200_000, picture.name
