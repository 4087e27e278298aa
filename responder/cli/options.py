"""Options that several commands share: where the responder is, who asks, and how the answer is printed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from console.remote.client import Client
from responder import wire

F = TypeVar("F", bound=Callable[..., Any])


def server_options(command: F) -> F:
    """Adds `--url`, `--token-file` and `--ca-file`; the command gets a `client`."""

    @click.option("--url", envvar="CLOPUS_URL", default="http://127.0.0.1:8080", show_default=True, help="The API.")
    @click.option(
        "--token-file",
        envvar="CLOPUS_TOKEN_FILE",
        type=click.Path(path_type=Path),
        help="File with your bearer token.",
    )
    @click.option("--ca-file", envvar="CLOPUS_CA_FILE", type=click.Path(path_type=Path), help="CA of an https API.")
    def wrapped(url: str, token_file: Path | None, ca_file: Path | None, **kwargs: Any) -> Any:
        return command(client=Client(url, token_file=token_file, ca_file=ca_file), **kwargs)

    wrapped.__name__ = command.__name__
    wrapped.__doc__ = command.__doc__
    wrapped.__click_params__ = [*getattr(command, "__click_params__", []), *wrapped.__click_params__]  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]


output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the answer."
)


def print_json(value: Any) -> None:
    click.echo(wire.dumps(value, indent=True).decode())


def columns() -> int:
    """Width to write for: the terminal's within reason, and a fixed one where there is none."""
    return min(max(shutil.get_terminal_size((120, 40)).columns, 60), 140)
