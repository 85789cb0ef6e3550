"""The client sends the documented requests for every operation, and can send every documented field."""

import pytest

from contract.api_document import requests_document, sent_fields

DOCUMENT = requests_document()
# Outside the public API, or of no use to a client that knows its organization (FACTS §2).
NOT_OFFERED = {
    "detectFileFramework",
    "detectGitFramework",
    "launchGraphql",
    "listGitBranches",
    "listGitNamespaces",
    "listGitRepositories",
    "listOrganizations",
    "revalidateDomain",
}
OFFERED = sorted(set(DOCUMENT.operations) - NOT_OFFERED)
# No source explains the meaning of this field.
NOT_SENT = {
    "oauthToken": {"body.app_id"},
    "oauthTokenAlt": {"body.app_id"},
    "oauthTokenDevHub": {"body.app_id"},
}
# This optional header has no effect (FACTS §3).
WITHOUT_EFFECT = {"header:x-cs-api-version"}


def requests_of(exchanges, operation):
    found = [sent for sent in exchanges if DOCUMENT.find(sent.method, sent.path) is operation]
    assert found, f"no test calls {operation.id}"
    return found


@pytest.mark.parametrize("name", OFFERED)
def test_every_request_follows_the_document(exchanges, name):
    """Check the path, method, parameters, headers, credentials and body of an operation."""
    operation = DOCUMENT.operations[name]

    problems = [DOCUMENT.problems_of_request(operation, sent) for sent in requests_of(exchanges, operation)]

    assert problems == [[]] * len(problems)


@pytest.mark.parametrize("name", OFFERED)
def test_every_field_of_the_document_can_be_sent(exchanges, name):
    """The exceptions are the fields in `NOT_SENT`."""
    operation = DOCUMENT.operations[name]

    sent = set().union(*(sent_fields(request) for request in requests_of(exchanges, operation)))

    assert DOCUMENT.fields(operation) - WITHOUT_EFFECT - sent == NOT_SENT.get(name, set())


def test_the_only_undocumented_request_is_for_the_api_description(exchanges):
    """Each host returns its description at `/openapi` (FACTS §1)."""
    unknown = {(sent.method, sent.path) for sent in exchanges if DOCUMENT.find(sent.method, sent.path) is None}

    assert unknown == {("GET", "/openapi")}
