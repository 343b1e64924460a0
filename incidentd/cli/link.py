"""The link that signs a browser in."""

from collections.abc import Mapping
from pathlib import Path

from incidentd.cli.start import inherited_settings
from incidentd.cli.state import with_tokens
from incidentd.clock import SystemClock
from incidentd.errors import SettingsError
from incidentd.session import session_secret
from incidentd.settings import Settings
from incidentd.web.session import sign_in_link


def sign_in(environ: Mapping[str, str], state: Path) -> str:
    """A link that is valid for some hours.

    Raises:
        SettingsError: there is no API token to sign it with.
    """
    return link_for(inherited_settings(with_tokens(environ, state, create=False)))


def link_for(settings: Settings) -> str:
    """The link under these settings."""
    if settings.api_token is None:
        raise SettingsError(
            "no API token signs this link: set INCIDENTD_API_TOKEN, or name the folder of `up` with --state"
        )
    return sign_in_link(settings.base_url, session_secret(settings), SystemClock().now())
