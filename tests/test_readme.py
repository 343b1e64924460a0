"""What the README says is so."""

import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import typer
import yaml

from incidentd.classify import check, load, run_examples
from incidentd.cli.main import app
from incidentd.settings import describe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SHOP = "This is a whole one, `rules/shop.yaml`"


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of the tables below a heading, their heads left out."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for table in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def block(after: str, language: str) -> str:
    """The first block of code of this language after some text."""
    return README.partition(after)[2].partition(f"```{language}\n")[2].partition("```")[0]


def test_the_settings_that_are_used_most_are_in_the_table_as_the_code_has_them() -> None:
    known = [
        [
            f"`{each.name}`",
            f"`{each.default}`" if each.default else "",
            each.text + (" (secret)" if each.secret else ""),
        ]
        for each in describe()
    ]
    shown = list(rows("Settings"))
    assert shown == [each for each in known if each in shown]
    assert {"`INCIDENTD_WEBHOOK_TOKEN`", "`INCIDENTD_DATABASE_URL`"} <= {each[0] for each in shown}


def test_every_page_of_the_documentation_is_listed() -> None:
    listed = {cells[0].partition("](")[2].rstrip(")") for cells in rows("Documentation")}
    assert listed == {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}


def test_every_dependency_says_what_it_is_for() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = sorted(re.split(r"[\[<>=; ]", each)[0] for each in declared)
    assert [cells[0].strip("`") for cells in rows("Dependencies")] == names
    assert all(cells[1] for cells in rows("Dependencies"))


def test_every_command_is_in_the_table() -> None:
    root = typer.main.get_command(app)
    commands = {f"incidentd {name}" for name, each in root.commands.items() if not each.hidden}  # type: ignore[attr-defined]
    groups = {f"incidentd {name}" for name, each in root.commands.items() if hasattr(each, "commands")}  # type: ignore[attr-defined]
    inner = {f"{each} {name}" for each in groups for name in root.commands[each.split()[1]].commands}  # type: ignore[attr-defined]
    shown = {cells[0].strip("`").removesuffix(" FILE").removesuffix(" NAME") for cells in rows("Commands")}
    assert shown == commands - groups | inner


def test_the_system_that_it_adds_is_sound_and_its_example_holds(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (folder / "shop.yaml").write_text(block(SHOP, "yaml"), "utf-8")
    tiers = folder / "tiers.yaml"
    tiers.write_text(tiers.read_text("utf-8").replace("tables: [avalo,", "tables: [avalo, shop,"), "utf-8")
    rules = load(folder)
    assert "shop" in rules.tables
    results = [result for result in run_examples(rules) if result.example.row.startswith("shop/")]
    assert [result.holds for result in results] == [True]
    assert not [fault for fault in check(rules, set()).warnings if fault.file == "shop.yaml"]


def test_alertmanager_is_configured_in_ten_lines() -> None:
    configuration = block("## Pointing Alertmanager at it", "yaml")
    assert len(configuration.splitlines()) == 10
    assert yaml.safe_load(configuration)["route"]["receiver"] == "incidentd"


def test_pictures_are_there_and_light() -> None:
    pictures = [ROOT / each for each in re.findall(r"!\[[^]]+\]\((docs/images/[^)]+\.png)\)", README)]
    assert pictures
    assert all(10_000 < each.stat().st_size < 200_000 for each in pictures)
