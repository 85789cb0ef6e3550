"""The words that a tape may contain: words of the API, of HTTP, and of common messages.

A tape keeps a name, a code or a word of a message only if it consists of these words. Do not add names of persons or
places, or words that people use as names of projects, environments or branches.
"""

from __future__ import annotations

import re
from typing import Final

_OF_THE_API: Final = """
access active address after analytics any app apps archived at auth authentication authorization authorize authtoken
auto automatic autodeploy available azure bearer before body both bucket build building built by bytes cache cachepath
cached cancelled canceled cdn certificate certificates chain change changed client cname code command commit
connection contentstack control count create created creation credential credentials current custom cut data date
default delete deleted deploy deployed deploying deployment deployments dependencies description detected directory
dns domain domains download duplicate duration email empty enabled end ended entries entry environment environments
error errors event events expires expiry external failed failure field fields file files first form format
framework function functions gateway get git github gitprovider gitproviders grant hash has header
headers heartbeat hook hooks host hostname hostnames id ids info install installing intermediate is issued issuer
item items key keys last launch length level limit line lines list live location log login logout logs lytics manage
manifests max maximum message messages metadata method min minimum missing mode modified name names namespace
namespaces new newest next not notice number offset oldest on openapi operation optional order organization
organizations output page pagination password patch path pattern pending permission plan platform policy post prefix
preset previous preview priming private project projects protection provider public publish publishing purge push put
queue queued quota rate read reason record records redirect refresh region release repositories repository request
requests required reset resource response result retry revalidate revalidation revalidations rollback eligible rollout
root running runtime scope scopes second seconds secret security send server session signature signed size skip
skipped sms source ssl stack stage stages start started state status stop store storage stream streaming style success
superseded tag tags text tfa time timeout timestamp title tls token total totp authenticator trigger triggered ttl type
uid uids unknown unset update updated upload uploaded url urls usage user username valid value values variable
variables verified verification verifier version waiting warning webhook write xml json yaml zip
fileupload hub cms o gatsby nextjs cra csr analog angular nuxt astro vuejs remix other
paused pause resume resumed initializing provisioning preparing processing completed complete finished failing
rejected disabled inactive unverified expired revoked issuing renewing
asc branch branches full repo hint uri org shared v search product include
"""

_OF_HTTP: Final = """
accept accepts age agent allow allowed alt amz api algorithm application authorities bad cache cf charset close
conflict connection content control cookie cors cross csp cs deflate disposition encoding etag event expose forbidden
forwarded found from frame gateway gone gzip html http https identity if internal keep length link match max
media methods must none nosniff octet only origin options permissions plain powered proxy public ratelimit ray
referrer remaining request requests reset revalidate same sameorigin service set strict sub svc text trace transfer
transport unauthorized unavailable unprocessable unsupported upgrade utf vary via www x xss age store chunked
timing vnd goog blob ms range
"""

_OF_DOCUMENTS: Final = """
additional all array boolean components const content enum example examples explode flows in integer nullable
object of one oauth oauth2 oneof allof anyof operations parameter parameters paths properties property query ref
request response responses schema schemas schemes security servers string style summary tags unique
pkce input created project
"""

_OF_MESSAGES: Final = """
a about access again all already also an and another are as at be because been being beyond but by can cannot could
does doing done either enough exceeded exist exists expected failed for forbidden found from had has have how if in
incorrect invalid is it its long longer many malformed may more most must need needs no nor not nothing of off on once
one only or out over please possible present provided reached refused remove short should since so some such than that
the their them then there these they this those through to too try under until up use used using valid via was were
what when where which while who why will with within without wrong you your characters between least match matches
process support supported allowed denied unable unexpected occurred internal successfully successful
"""

WORDS: Final = frozenset(f"{_OF_THE_API} {_OF_HTTP} {_OF_DOCUMENTS} {_OF_MESSAGES}".split())
MAX_LENGTH: Final = 120
"""Maximum number of characters of a name that a tape keeps."""

_SHAPE: Final = re.compile(r"(?:[A-Za-z]|[0-9]{1,3}(?![0-9])|[-_./:{}#$])+")
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]")
_NUMBERS: Final = re.compile(r"[0-9]+")


def is_known(name: str) -> bool:
    """Return whether a name such as ``expiresIn``, ``x-ratelimit-limit`` or ``NOT_FOUND`` consists of known words.

    The name may contain one small number, as in ``environmentVariables.0.value``.
    """
    if not name or len(name) > MAX_LENGTH or not _SHAPE.fullmatch(name):
        return False
    parts = _PARTS.findall(name)
    return bool(parts) and len(_NUMBERS.findall(name)) <= 1 and all(part.lower() in WORDS for part in parts)
