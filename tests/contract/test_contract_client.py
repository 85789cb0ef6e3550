"""The client is judged: what it sends is what the document says, for every operation, with every field there is."""

import pytest

from contract.api_document import requests_document, sent_fields

DOCUMENT = requests_document()
# Outside the public API, or of no use to a client that is told its organization (FACTS §2).
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
OFFERED = {
    "detectFileFramework",
    "detectGitFramework",
    "launchGraphql",
    "listGitBranches",
    "listGitNamespaces",
    "listGitRepositories",
    "listOrganizations",
    "revalidateDomain",
}
# Public, and without a method of the client so far. Each one leaves this list with its method.
NOT_OFFERED_YET = {
    "streamLiveServerLogs": "needs answers that are read while they come; tail_server_logs polls until then",
}
OFFERED = sorted(set(DOCUMENT.operations) - NOT_OFFERED)
# A field of which nobody says what it means.
NOT_SENT = {
    "oauthToken": {"body.app_id"},
    "oauthTokenAlt": {"body.app_id"},
    "oauthTokenDevHub": {"body.app_id"},
}
# Optional, and without any effect (FACTS §3).
WITHOUT_EFFECT = {"header:x-cs-api-version"}


def requests_of(exchanges, operation):
    found = [sent for sent in exchanges if DOCUMENT.find(sent.method, sent.path) is operation]
    assert found, f"the tour never calls {operation.id}"
    return found


@pytest.mark.parametrize("name", OFFERED)
def test_every_request_is_one_of_the_document(exchanges, name):
    """Judges the client: path, method, parameters, headers, credentials and body of an operation."""
    operation = DOCUMENT.operations[name]

    problems = [DOCUMENT.problems_of_request(operation, sent) for sent in requests_of(exchanges, operation)]

    assert problems == [[]] * len(problems)


@pytest.mark.parametrize("name", OFFERED)
def test_every_field_of_the_document_can_be_sent(exchanges, name):
    """Judges the client: no documented field is out of reach, but for those named above."""
    operation = DOCUMENT.operations[name]

    sent = set().union(*(sent_fields(request) for request in requests_of(exchanges, operation)))

    assert DOCUMENT.fields(operation) - WITHOUT_EFFECT - sent == NOT_SENT.get(name, set())


def test_nothing_is_asked_for_that_the_document_does_not_have(exchanges):
    """Judges the client: the one other request is for the service's own description (FACTS §1)."""
    unknown = {(sent.method, sent.path) for sent in exchanges if DOCUMENT.find(sent.method, sent.path) is None}

    assert unknown == {("GET", "/openapi")}
