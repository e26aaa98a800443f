"""``elysium completion``."""

from __future__ import annotations

import click

from provision.cli import lazy


@click.command(
    cls=lazy.Command,
    examples="""
    eval "$(elysium completion bash)"                                  # in ~/.bashrc
    eval "$(elysium completion zsh)"                                   # in ~/.zshrc
    elysium completion fish > ~/.config/fish/completions/elysium.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for your shell's Tab key."""
    from click import shell_completion

    kind = shell_completion.get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"nothing is known of {shell}")
    root = context.find_root().command
    source = kind(root, {}, "elysium", "_ELYSIUM_COMPLETE").source_vars()
    click.echo(kind.source_template % source)
