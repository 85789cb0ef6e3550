"""`domains` and `purge`: domains, certificates and the CDN cache."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from launch_async.cli.commands._common import environment_of, workflow
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_async.wire.secret import Secret
from launch_sync.resources import Domains, Environments

__all__ = ["domains", "purge"]


@click.group()
def domains() -> None:
    """List domains and change their certificates."""


@domains.command("list")
@environment_of
@pass_session
def list_(session: Session, project: str, environment: str) -> None:
    """List the domains of an environment."""
    found = [*session.client.domains.list(*session.find(project, environment))]
    rows = [{"domain": str(one.url), "ssl": str(one.ssl_method or ""), "uid": one.uid} for one in found]
    session.output.table(found, rows)


@domains.command()
@environment_of
@click.argument("domain")
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False), help="PEM file of the certificate.")
@click.option(
    "--private-key",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="PEM file of the key, without a passphrase; - for standard input.",
)
@click.option("--chain", type=click.Path(exists=True, dir_okay=False), help="PEM file of intermediate certificates.")
@workflow(Domains.update, without={"url", "certificate", "private_key", "chain"})
@pass_session
def update(
    session: Session,
    project: str,
    environment: str,
    domain: str,
    certificate: str | None,
    private_key: str | None,
    chain: str | None,
    **options: object,
) -> None:
    """Set the certificate of DOMAIN (a host name or UID), or let Launch manage it."""
    place = session.find(project, environment)
    fitting = [one for one in session.client.domains.list(*place) if domain in (one.uid, one.url)]
    if not fitting:
        raise click.UsageError(
            f"The environment {project}/{environment} has no domain {domain}. The command `domains list` lists them."
        )
    changed = session.client.domains.update(
        *place,
        fitting[0].uid,
        url=str(fitting[0].url),
        certificate=_text(certificate),
        private_key=_text(private_key),
        chain=_text(chain),
        **taken_by(Domains.update, options),
    )
    session.output.result(changed, f"{changed.url}  {changed.ssl_method or ''}")


@click.command()
@environment_of
@workflow(Environments.revalidate_cache)
@pass_session
def purge(session: Session, project: str, environment: str, **options: object) -> None:
    """Revalidate the CDN cache of --path, --cache-tags or --hostnames (exactly one)."""
    found = session.find(project, environment)
    session.client.environments.revalidate_cache(*found, **taken_by(Environments.revalidate_cache, options))
    usage = session.client.usage.cache_revalidations()
    session.output.result(
        usage,
        f"Revalidated. Today's quota: {usage.current_cache_revalidations} of {usage.max_cache_revalidations} used.",
    )


def _text(path: str | None) -> Secret | None:
    if path is None:
        return None
    return Secret(sys.stdin.read() if path == "-" else Path(path).read_text("utf-8"))
