"""The address that a part listens on."""

import socket

from incidentd.errors import SettingsError
from incidentd.web import server


def claim(name: str, host: str, port: int) -> socket.socket:
    """A socket that holds the address and doesn't listen yet. ``name`` is the setting or option that gave it.

    Raises:
        SettingsError: the address is taken, or not this machine's.
    """
    try:
        return server.bind(host, port)
    except OSError:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise SettingsError(f"{name}: {shown} is taken by another program, or no address of this machine") from None
