"""`login` and `logout`: the token in the system's keyring."""

from __future__ import annotations

import sys

import click

from launch_async.auth.tokens import Authtoken
from launch_async.cli.kept_login import KeptLogin, forget_login, keep_login, kept_login
from launch_async.cli.session import Session, pass_session
from launch_async.wire.secret import Secret
from launch_sync import SecondFactorRequired, login as log_in, logout as log_out

__all__ = ["login", "logout"]


@click.command()
@click.option("--email", help="E-mail address. Without this option, the command asks for it.")
@pass_session
def login(session: Session, email: str | None) -> None:
    """Log in with e-mail and password, and store the token in the keyring.

    The command asks for the password, or reads it from standard input. Users
    of single sign-on have no password. They use an app or
    CONTENTSTACK_AUTHTOKEN instead.
    """
    region = session.region or "na"
    email = email or click.prompt("E-mail", err=True)
    password = Secret(_asked("Password"))
    try:
        made = log_in(email, password, region=region, base_url=session.base_url)
    except SecondFactorRequired:
        code = Secret(_asked("Second factor"))
        made = log_in(email, password, second_factor=code, region=region, base_url=session.base_url)
    organization = session.organization_uid
    if organization is None and len(made.organization_uids) == 1:
        (organization,) = made.organization_uids
    keep_login(KeptLogin(made.credentials.token, organization, region))
    session.output.result({"organization_uid": organization, "region": region}, "Logged in.")
    if organization is None:
        session.output.note(f"Choose an organization with --organization: {', '.join(made.organization_uids)}")


@click.command()
@pass_session
def logout(session: Session) -> None:
    """Log out and remove the token from the keyring."""
    kept = kept_login()
    if kept is None:
        session.output.result({"was_logged_in": False}, "There is no stored login.")
        return
    log_out(Authtoken(kept.authtoken), region=kept.region, base_url=session.base_url)
    forget_login()
    session.output.result({"was_logged_in": True}, "Logged out.")


def _asked(what: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")
