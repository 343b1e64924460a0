"""The settings: ``INCIDENTD_*`` variables, read once, each also as ``…_FILE``.

The environment is an argument, because a misspelt variable has to be found too, and rules may name further ones that
hold secrets.
"""

from incidentd.settings.description import Setting, describe
from incidentd.settings.environment import PREFIX, names_set
from incidentd.settings.load import (
    hidden_values,
    load_settings,
    read_sources,
    rules_folder,
    shadow_folder,
    sources_file,
)
from incidentd.settings.settings import Settings

__all__ = [
    "PREFIX",
    "Setting",
    "Settings",
    "describe",
    "hidden_values",
    "load_settings",
    "names_set",
    "read_sources",
    "rules_folder",
    "shadow_folder",
    "sources_file",
]
