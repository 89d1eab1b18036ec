"""Where a picture is made, as far as that may change it.

The name of a model of the catalog says what it is, whichever gateway it is reached through: moving to another address
of it buys nothing again. What a name outside the catalog stands for is its server's own affair ("sdxl" here is not
"sdxl" there), so the server's address is part of the key. Servers on this machine are told from all others also under
the names of the catalog: there live simulated providers, whose pictures nobody wants to find in a store later. Their
port does not count then, because it changes from start to start.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from penstock.catalog import model as lookup

HERE = "localhost"
"""What stands for every server on this machine that serves models of the catalog."""

_PORTS = {"http": 80, "https": 443}


def server(base_url: str, model: str) -> str:
    """What the keys of a model's pictures say of the server at `base_url`; "": nothing.

    Raises ValueError for what is no address.
    """
    if not base_url:
        return ""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    if lookup(model) is not None:
        return HERE if _here(host) else ""
    scheme = parts.scheme.lower()
    port = "" if parts.port in (None, _PORTS.get(scheme)) else f":{parts.port}"
    named = f"[{host}]" if ":" in host else host
    return f"{scheme}://{named}{port}{parts.path.rstrip('/')}"


def _here(host: str) -> bool:
    """Whether a host is this machine, by one of its loopback names."""
    numbers = host.split(".")
    loopback = len(numbers) == 4 and numbers[0] == "127" and all(number.isdecimal() for number in numbers)
    return loopback or host in (HERE, "::1") or host.endswith(f".{HERE}")
