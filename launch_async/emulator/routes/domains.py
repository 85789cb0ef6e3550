"""Domains: list, update with or without a certificate, and recheck. The recheck is not a public operation."""

import re
import ssl
from datetime import UTC, datetime

from launch_async.emulator import errors
from launch_async.emulator.clock import iso
from launch_async.emulator.routes.validation import CHANGED_DOMAIN, check
from launch_async.emulator.service import DEFAULT_LIMIT, Call, JsonResponse
from launch_async.emulator.shapes import as_list, as_object
from launch_async.emulator.state import Domain, Record

MAX_LIMIT = 100
CERTIFICATE_SECONDS = 90 * 86_400.0
# The start and the end of a certificate's validity in DER, with two or four digits for the year.
VALIDITY = re.compile(rb"0[\x1e\x20\x22](?:\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)")


async def list_domains(call: Call) -> JsonResponse:
    """Return one page of the domains of an environment. limit must be from 1 to 100."""
    domains = list(_domains(call).values())
    if not 1 <= call.whole_number("limit", DEFAULT_LIMIT) <= MAX_LIMIT:
        raise errors.invalid_fields([("limit", "launch.LIMIT.INVALID", "limit must be from 1 to 100.")])
    answer = call.page("domains", domains)
    for shown in as_list((as_object(answer.body) or {})["domains"]) or []:
        _add_records(call, as_object(shown) or {})
    return answer


async def update_domain(call: Call) -> JsonResponse:
    """Rename a domain, or change the source of its certificate.

    The service ignores a certificate without sslMethod CUSTOM.
    """
    domain = _domain(call)
    body = await call.json()
    check(body, CHANGED_DOMAIN, "DOMAIN")
    if domain.custom and body["url"]:
        domain.url = str(body["url"])
    match body.get("sslMethod"):
        case "CUSTOM" if "customCertificate" in body:
            expires = _expiry(str(body["customCertificate"])) or call.now + CERTIFICATE_SECONDS
            domain.ssl_method, domain.certificate_expires_at = "CUSTOM", iso(expires)
        case "AUTOMATIC":
            domain.ssl_method, domain.certificate_expires_at = "AUTOMATIC", None
        case _:
            pass
    shown = call.shown(domain)
    _add_records(call, shown)
    return JsonResponse(200, {} if call.service.options.domain_update_body == "empty" else {"domain": shown})


async def revalidate_domain(call: Call) -> JsonResponse:
    """Check a domain again, and return its state."""
    return JsonResponse(200, {"domainInfo": _domain(call).info()})


def _add_records(call: Call, shown: Record) -> None:
    """Add the DNS records of a domain. An option names their field, because the service's name is not known."""
    key, info = call.service.options.dns_records_key, as_object(shown["domainInfo"])
    if key is not None and info is not None:
        shown["domainInfo"] = {**info, key: [{"type": "CNAME", "name": shown["url"], "value": "launch.example.com"}]}


def _expiry(pem: str) -> float | None:
    """Return the epoch seconds at which a certificate expires; None for another text."""
    try:
        found = VALIDITY.search(ssl.PEM_cert_to_DER_cert(pem.strip()))
    except ValueError:
        found = None
    if found is None:
        return None
    text = (found[1] or found[2]).decode()
    return datetime.strptime(text, "%y%m%d%H%M%S" if found[1] else "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def _domains(call: Call) -> dict[str, Domain]:
    """Return the domains of the environment in the path.

    Raises:
        Refusal: 404; 403 without the header x-project-uid, if the options require it.
    """
    environment = call.environment()
    header = call.request.headers.get("x-project-uid")
    if call.service.options.domain_header and header != environment.project.uid:
        raise errors.forbidden("The header x-project-uid must name the project.")
    if all(domain.custom for domain in environment.domains.values()):
        uid = call.service.uids.launch()
        call.service.state.add(Domain(uid=uid, environment=environment))
    return environment.domains


def _domain(call: Call) -> Domain:
    domain = _domains(call).get(call.parameters["domain_uid"])
    if domain is None:
        raise errors.not_found("domain")
    return domain
