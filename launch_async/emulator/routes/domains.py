"""Domains, which are not public: list, update with or without a certificate, check again. Off unless asked for."""

from launch_async.emulator import errors
from launch_async.emulator.clock import iso
from launch_async.emulator.routes.validation import CHANGED_DOMAIN, check
from launch_async.emulator.service import Answer, Call
from launch_async.emulator.state import Domain

CERTIFICATE_SECONDS = 90 * 86_400.0


async def list_domains(call: Call) -> Answer:
    """One page of an environment's domains."""
    return call.page("domains", list(_domains(call).values()))


async def update_domain(call: Call) -> Answer:
    """Rename a domain or give it a certificate, which is ignored without sslMethod CUSTOM (FACTS §10 quirk 16)."""
    domain = _domain(call)
    body = await call.json()
    check(body, CHANGED_DOMAIN, "DOMAIN")
    if domain.custom:
        domain.url = str(body["url"])
    if "sslMethod" in body and "customCertificate" in body:
        domain.ssl_method = str(body["sslMethod"])
        domain.certificate_expires_at = iso(call.now + CERTIFICATE_SECONDS)
    return Answer(200, {})


async def revalidate_domain(call: Call) -> Answer:
    """The state of a domain, checked again."""
    return Answer(200, {"domainInfo": _domain(call).info()})


def _domains(call: Call) -> dict[str, Domain]:
    """The domains of the path's environment.

    Raises:
        Refusal: 404; 403 without the header x-project-uid (FACTS §10 quirk 16).
    """
    environment = call.environment()
    if call.request.headers.get("x-project-uid") != environment.project.uid:
        raise errors.forbidden("The header x-project-uid must name the project.")
    if all(domain.custom for domain in environment.domains.values()):
        uid = call.service.uids.launch()
        call.service.state.keep(Domain(uid=uid, environment=environment))
    return environment.domains


def _domain(call: Call) -> Domain:
    domain = _domains(call).get(call.parameters["domain_uid"])
    if domain is None:
        raise errors.not_found("domain")
    return domain
