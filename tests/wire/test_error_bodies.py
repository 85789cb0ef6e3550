"""Every error answer of any shape becomes one error of the tree, and no error repeats a secret."""

from __future__ import annotations

import copy
import html
import json
import logging
import pickle
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from launch_async import (
    AmbiguousOutcome,
    APIError,
    ArchiveError,
    BadGatewayError,
    BadRequestError,
    ConcurrentChangeError,
    ConflictError,
    DeadlineExceeded,
    DecodeError,
    Deployment,
    FieldError,
    ForbiddenError,
    GatewayTimeoutError,
    GitProviderError,
    InternalServerError,
    InvalidArgumentError,
    InvalidTokenError,
    LaunchError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    StorageError,
    TransportError,
    UnauthorizedError,
    WaitTimeout,
    errors,
)
from launch_async.wire.error_bodies import error_from_response, read_envelope, redact
from tests.support.core import DEPLOYMENT

ODD_ERRORS = json.loads((Path(__file__).parent / "odd_answers.json").read_text())["errors"]
SECRET = "s3cr3t/vàlue\"with'every<kind>&of\nmark"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["errors", "code", "message", "error", "error_code", "error_message", "field", "status", "name"]
            )
            | st.text(max_size=6),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


def error_of(status: int, document: object, **options: Any) -> APIError:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return error_from_response(status, body, operation="getProject", **options)


# The envelopes of FACTS §9


def test_a_coded_error_shows_its_message_and_its_code() -> None:
    error = error_of(
        404, {"errors": [{"code": "launch.PROJECT.NOT_FOUND", "message": "Project not found."}], "status": 404}
    )

    assert type(error) is NotFoundError
    assert error.codes == ("launch.PROJECT.NOT_FOUND",)
    assert str(error) == (
        "Project not found. Check that the UIDs are correct, and belong to the organization and the region of this "
        "client [operation getProject; status 404; code launch.PROJECT.NOT_FOUND]"
    )


@pytest.mark.parametrize("field", ["name", "environmentVariables.0.value"])
def test_a_field_error_names_its_field_with_all_dots(field: str) -> None:
    error = error_of(
        400, {"errors": [{field: {"code": "launch.PROJECTS.NAME.TOO_LONG", "message": "Too long."}}], "status": 400}
    )

    assert type(error) is BadRequestError
    assert error.field_errors == (FieldError(field, "launch.PROJECTS.NAME.TOO_LONG", "Too long."),)
    assert error.codes == ("launch.PROJECTS.NAME.TOO_LONG",)
    assert str(error).startswith(f"{field}: Too long. [")


def test_one_entry_may_contain_several_fields() -> None:
    envelope = read_envelope(b'{"errors":[{"name":{"message":"Too long."},"description":{"code":"X"}}]}')

    assert envelope.field_errors == (FieldError("name", "", "Too long."), FieldError("description", "X", ""))
    assert envelope.message == "name: Too long.; description: X"


def test_coded_entries_and_field_entries_may_share_a_list() -> None:
    envelope = read_envelope(
        json.dumps(
            {
                "errors": [
                    {"code": "launch.BODY_EMPTY", "message": "Nothing."},
                    {"name": {"code": "N", "message": "Bad."}},
                    "plain words",
                    None,
                    7,
                    ["list"],
                    {},
                ]
            }
        ).encode()
    )

    assert envelope.codes == ("launch.BODY_EMPTY", "N")
    assert envelope.field_errors == (FieldError("name", "N", "Bad."),)
    assert envelope.message == "Nothing.; name: Bad.; plain words"


def test_a_code_without_a_message_is_kept() -> None:
    error = error_of(401, {"errors": [{"code": "Unauthorized", "message": "Unauthorized"}], "status": 401})

    assert type(error) is UnauthorizedError
    assert error.codes == ("Unauthorized",)
    assert "Check the token, the organization UID and the region" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 422, 500])
def test_error_105_means_the_token_or_the_region_at_any_status(status: int) -> None:
    document = {"error_message": "The access token is invalid or expired or revoked.", "error_code": 105}

    error = error_of(status, document, region_hint="this client uses region na")

    assert type(error) is InvalidTokenError
    assert error.codes == ("105",)
    assert "Renew the token, or check the region: this client uses region na" in str(error)


@pytest.mark.parametrize(("status", "about_regions"), [(400, True), (403, True), (404, True), (503, False)])
def test_a_refusal_in_xml_suggests_the_host_of_another_region(status: int, about_regions: bool) -> None:
    xml = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"

    error = error_of(status, xml, region_hint="this client uses region na")

    assert error.message.startswith("Access Denied")
    assert ("Check the region: this client uses region na" in str(error)) == about_regions


def test_an_invalid_access_token_is_recognized_by_its_message() -> None:
    error = error_of(403, {"error_message": "Your Access Token has expired"})

    assert type(error) is InvalidTokenError
    assert str(error).startswith("Your Access Token has expired. Renew the token [")


def test_a_duplicate_name_is_reported_with_advice() -> None:
    error = error_of(409, {"errors": [{"code": "launch.PROJECT.DUPLICATE_NAME", "message": "Name already in use."}]})

    assert str(error).startswith("Name already in use. Use another name, or use the existing object [")


TAKEN = "Use another name, or use the existing object"
IN_THE_WAY = "The call conflicts with the current state. Read the state again, then decide whether to repeat the call"


@pytest.mark.parametrize(
    ("operation", "codes", "advice"),
    [
        ("createProject", [], TAKEN),
        ("updateEnvironment", [], TAKEN),
        ("POST /projects", ["launch.PROJECT.DUPLICATE_NAME"], TAKEN),
        (
            "createEnvironment",
            ["launch.ENVIRONMENT.LIMIT_REACHED"],
            "Delete objects that you do not need, or ask Contentstack for a larger plan",
        ),
        ("createProject", ["launch.PROJECT.SOMETHING_ELSE"], IN_THE_WAY),
        ("createDeployment", [], IN_THE_WAY),
        ("deleteProject", ["launch.PROJECT.DELETE_FAILED"], IN_THE_WAY),
        ("updateDomain", [], IN_THE_WAY),
    ],
)
def test_the_advice_about_a_conflict_depends_on_the_operation_and_the_code(
    operation: str, codes: list[str], advice: str
) -> None:
    body = {"errors": [{"code": code, "message": "No."} for code in codes]} if codes else {"message": "No."}

    error = error_from_response(409, json.dumps(body).encode(), operation=operation)

    assert type(error) is ConflictError
    assert error.message == f"No. {advice}"


def test_a_required_second_factor_is_recognized_by_its_code() -> None:
    error = error_of(422, {"error_message": "Two-factor token required.", "error_code": 294, "errors": []})

    assert error.codes == ("294",)
    assert error.message == "Two-factor token required."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<?xml version='1.0'?><Error><Code>X</Code><Message>No such\n bucket.</Message></Error>", "No such bucket."),
        (b"<html><head><title>502 Bad Gateway</title></head><body><h1>x</h1></body></html>", "502 Bad Gateway"),
        (b"<html><body><p>Just <b>words</b></p><script>evil()</script></body></html>", "Just words"),
        (b"upstream connect error", "upstream connect error"),
    ],
)
def test_xml_html_and_plain_text_give_their_message(body: bytes, words: str) -> None:
    error = error_of(502, body)

    assert type(error) is BadGatewayError
    assert error.message == words


def test_oauth_errors_give_their_description() -> None:
    error = error_of(400, {"error": "invalid_request", "error_description": "invalid grant_type"})

    assert error.message == "invalid grant_type"


@pytest.mark.parametrize("document", [{"message": "Bad Gateway"}, {"error": "Bad Gateway"}, "Bad Gateway"], ids=str)
def test_a_bare_message_is_read(document: object) -> None:
    assert error_of(502, document).message == "Bad Gateway"


@pytest.mark.parametrize("example", ODD_ERRORS, ids=range(len(ODD_ERRORS)))
def test_an_odd_form_names_its_field_and_its_code(example: Any) -> None:
    error = error_of(example["status"], example["body"])

    fault = error.field_errors[0]
    assert (fault.field, fault.code) == (example["field"], example["code"])
    assert example["code"] in error.codes
    assert fault.message in str(error)


@pytest.mark.parametrize(
    ("errors", "faults"),
    [
        ({"name": [{"code": "A", "message": "a"}, {"code": "B", "message": "b"}]}, [("name", "A"), ("name", "B")]),
        ({"name": ["one", {"code": "B"}]}, [("name", ""), ("name", "B")]),
        ([{"variables": [{"value": {"code": "C", "message": "c"}}]}], [("variables.value", "C")]),
        ({"variables": {"0": {"value": [{"code": "C"}]}}}, [("variables.0.value", "C")]),
        ([{"code": "X", "message": "x", "fields": {"name": [{"code": "Y"}]}}], [("fields.name", "Y")]),
        ({"name": {"code": 7, "message": ["a", "b"]}}, [("name", "7")]),
    ],
)
def test_faults_of_fields_may_be_objects_lists_or_nested(errors: object, faults: list[tuple[str, str]]) -> None:
    error = error_of(400, {"errors": errors})

    assert [(fault.field, fault.code) for fault in error.field_errors] == faults


def test_an_object_of_one_coded_error_is_read() -> None:
    error = error_of(404, {"errors": {"code": "launch.PROJECT.NOT_FOUND", "message": "Not here."}})

    assert error.codes == ("launch.PROJECT.NOT_FOUND",)
    assert str(error).startswith("Not here. ")


# Terminal escape sequences


ESCAPES = (
    "\x1b[31mred\x1b[0m \x9b2Jclear \x1b]0;title\x07 \u202eright\u2066 to left\u2069 \r\nTwo\x85\x08\x00\u2028 lines\t."
)


@pytest.mark.parametrize(
    "document",
    [
        {"errors": [{"code": f"A{ESCAPES}", "message": ESCAPES}]},
        {"errors": [{f"name{ESCAPES}": {"code": ESCAPES, "message": ESCAPES}}]},
        {"error_message": ESCAPES, "error_code": ESCAPES},
        ESCAPES.encode(),
        f"<Error><Message>{ESCAPES}</Message></Error>".encode(),
    ],
    ids=["coded", "field", "bare", "text", "xml"],
)
def test_an_error_contains_no_terminal_escape(document: object, caplog: pytest.LogCaptureFixture) -> None:
    error = error_of(400, document, request_id=f"id{ESCAPES}")
    logging.getLogger("launch_async.test").error("failed: %s", error)

    shown = [str(error), repr(error), error.message, *error.codes, caplog.messages[-1]]
    shown += [text for fault in error.field_errors for text in (fault.field, fault.code, fault.message, str(fault))]
    assert all(text.isprintable() for text in shown)
    assert "red clear" in str(error)
    assert "\u202e" in error.raw_message
    assert "\u202e" in error.body or "\\u202e" in error.body
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@given(text=st.text())
def test_the_text_of_any_error_can_be_printed(text: str) -> None:
    error = LaunchError(text, codes=[text], request_id=text)

    assert str(error).replace("\n", "").isprintable()
    assert error.raw_message == text


def test_the_message_of_an_error_stays_unchanged() -> None:
    assert str(LaunchError("Zürich, 東京, \N{GRINNING FACE}")) == "Zürich, 東京, \N{GRINNING FACE}"


def test_errors_of_graphql_are_read_in_its_list() -> None:
    envelope = read_envelope(b'{"errors":[{"message":"Duplicate","extensions":{"exception":{}}}],"data":null}')

    assert "Duplicate" in envelope.message


@pytest.mark.parametrize(
    "document",
    [
        {"errors": {"name": {"code": "N", "message": "Bad."}}},
        [{"name": {"code": "N", "message": "Bad."}}],
        {"errors": [{"field": "name", "code": "N", "message": "Bad."}]},
    ],
    ids=["object", "bare list", "field member"],
)
def test_fields_are_found_without_the_usual_list(document: object) -> None:
    assert error_of(400, document).field_errors == (FieldError("name", "N", "Bad."),)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"message": ["name is too long", "limit is no number"], "error": "Bad Request"},
            "name is too long; limit is no number",
        ),
        ({"error_message": "Failed", "errors": {"name": ["is too long", "is taken"]}}, "name: is too long; is taken"),
        ({"errors": "name is too long"}, "name is too long"),
    ],
    ids=["one list", "by field", "no list"],
)
def test_a_message_may_be_a_list_or_a_text(document: object, message: str) -> None:
    assert error_of(400, document).message == message


def test_the_path_of_a_graphql_error_is_no_field() -> None:
    error = error_of(400, {"errors": [{"message": "Duplicate", "path": ["createProject"]}]})

    assert (error.message, error.field_errors) == ("Duplicate", ())


def test_a_field_may_be_given_as_bare_text() -> None:
    assert error_of(400, {"errors": [{"name": "is too long"}]}).field_errors == (FieldError("name", "", "is too long"),)


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"null", b"7", b"true", b"[]", b"{}", b'""', b'{"errors":[],"status":429}', b'{"errors":null}'],
)
def test_an_answer_without_a_message_shows_its_status(body: bytes) -> None:
    assert error_of(418, body).message == "The service answered with status 418 and sent no error message"


def test_a_status_in_the_body_does_not_matter() -> None:
    assert type(error_of(404, {"errors": [{"code": "x", "message": "y"}], "status": 200})) is NotFoundError


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadRequestError, False),
        (401, UnauthorizedError, False),
        (403, ForbiddenError, False),
        (404, NotFoundError, False),
        (408, APIError, True),
        (409, ConflictError, False),
        (418, APIError, False),
        (422, BadRequestError, False),
        (429, RateLimitError, True),
        (500, InternalServerError, False),
        (501, ServerError, False),
        (502, BadGatewayError, True),
        (503, ServiceUnavailableError, True),
        (504, GatewayTimeoutError, True),
        (520, ServerError, False),
    ],
)
def test_each_status_has_its_class(status: int, kind: type[APIError], retryable: bool) -> None:
    error = error_of(status, {}, request_id="r-1", retry_after=2.5)

    assert type(error) is kind
    assert (error.status, error.retryable, error.request_id, error.retry_after) == (status, retryable, "r-1", 2.5)


def test_an_unreachable_git_account_is_no_problem_of_the_credentials() -> None:
    error = error_of(
        401, {"errors": [{"code": "launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS", "message": "Not reachable."}]}
    )

    assert type(error) is GitProviderError
    assert "Reconnect the Git account in the console. Your own credentials are valid" in str(error)


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "launch.FORBIDDEN_RESOURCE", "Creation from Git needs a user's token, because an app (M2M) token"),
        (403, "Forbidden", "Check that the token has access to the organization"),
        (429, "launch.TOO_MANY_REQUESTS", "Other programs share the rate limit of the organization"),
        (400, "launch.PROJECT.LIMIT_REACHED", "ask Contentstack for a larger plan"),
    ],
)
def test_an_error_says_what_to_do_next(status: int, code: str, advice: str) -> None:
    assert advice in str(error_of(status, {"errors": [{"code": code, "message": "No."}]}))


def test_binary_bodies_are_read_as_far_as_possible() -> None:
    error = error_of(500, bytes(range(256)))

    assert error.status == 500
    assert len(error.body) <= 2000


def test_a_long_message_is_cut() -> None:
    error = error_of(500, b"word " * 100_000)

    assert len(error.message) <= 2000
    assert len(error.body) == 2000


@given(status=st.integers(400, 599), body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_error_body_raises_another_exception(status: int, body: bytes) -> None:
    error = error_from_response(status, body, operation="getProject")

    assert isinstance(error, APIError)
    assert error.status == status
    assert all(isinstance(code, str) for code in error.codes)


def test_a_body_that_is_nested_too_deeply_does_not_raise() -> None:
    assert error_of(500, b'{"errors":' + b"[" * 100_000).status == 500


# Secrets


def everything_said(error: LaunchError) -> str:
    return "\n".join([str(error), repr(error), repr(error.__dict__), repr(error.args)])


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("slashes", ["/", "\\/"])
def test_a_secret_is_found_in_every_notation_of_json(ascii_only: bool, slashes: str) -> None:
    body = json.dumps({"errors": [{"code": "X", "message": f"bad value {SECRET} here"}]}, ensure_ascii=ascii_only)

    error = error_of(400, body.replace("/", slashes).encode(), secrets=[SECRET])

    assert "s3cr3t" not in everything_said(error)
    assert error.message == "bad value [redacted] here"


@pytest.mark.parametrize("written", [SECRET, html.escape(SECRET), quote(SECRET, safe="")])
def test_a_secret_is_found_in_markup_and_addresses(written: str) -> None:
    error = error_of(400, f"<html><p>The value {written} is not valid</p></html>".encode(), secrets=[SECRET])

    assert "s3cr3t" not in everything_said(error)
    assert error.message == "The value [redacted] is not valid"


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=8, max_size=30).map(
        "$ecret-{}".format
    ),
    where=st.sampled_from(["message", "code", "field", "plain", "error_message", "late"]),
)
def test_no_secret_is_ever_repeated(secret: str, where: str) -> None:
    documents: dict[str, object] = {
        "message": {"errors": [{"code": "X", "message": f"no {secret}!"}]},
        "code": {"errors": [{"code": secret, "message": "no"}]},
        "field": {"errors": [{f"values.{secret}": {"code": f"c.{secret}", "message": secret}}]},
        "plain": secret,
        "error_message": {"error_message": secret, "error_code": secret},
        "late": f"{'x' * 1990} {secret}",
    }

    error = error_of(400, documents[where], secrets=[secret])

    texts = [error.message, str(error), error.body, *error.codes, *error.args]
    texts += [text for fault in error.field_errors for text in (fault.field, fault.code, fault.message)]
    assert not any(secret in text for text in texts)


def test_a_short_value_does_not_spoil_codes_and_field_names() -> None:
    error = error_of(
        400,
        {"errors": [{"environmentVariables.1.value": {"code": "launch.X1", "message": "1 is bad."}}]},
        secrets=["1", "launch", ""],
    )

    assert error.codes == ("launch.X1",)
    assert error.field_errors[0].field == "environmentVariables.1.value"
    assert "[redacted] is bad." in error.field_errors[0].message


def test_a_secret_that_contains_another_secret_is_removed_completely() -> None:
    assert redact("a pass-word-long b", ["pass", "pass-word-long"]) == "a [redacted] b"


def test_a_value_that_is_a_part_of_the_mark_does_not_multiply_it() -> None:
    assert redact("hidden and red", ["hidden", "red", " "]) == "[redacted] and [redacted]"


@pytest.mark.parametrize(
    "text",
    ["see https://s.example/b?X-Sig=hidden now", 'see "https:\\/\\/s.example\\/b?X-Sig=hidden" now'],
)
def test_signed_urls_lose_their_query(text: str) -> None:
    assert "hidden" not in redact(text, [])
    assert "s.example" in redact(text, [])


# The tree


def _every_error() -> list[LaunchError]:
    details: dict[str, Any] = {
        "operation": "op",
        "status": 500,
        "codes": ["a", "b"],
        "field_errors": [FieldError("f", "c", "m")],
        "request_id": "r",
        "attempts": 3,
        "retryable": True,
        "retry_after": 1.5,
        "ambiguous": True,
    }
    special: list[LaunchError] = [
        InvalidArgumentError("limit", "is bad", rule="reference/facts.md#4-resources", operation="op"),
        ArchiveError("folder", "is bad", rule="reference/facts.md#5-upload-flow", paths=["a", "b"]),
        DeadlineExceeded("late", expected_wait=3.0, operation="op", request_id="r", attempts=2, ambiguous=True),
        DecodeError("odd", problems=["$: x"], operation="op", status=200, request_id="r", attempts=1, ambiguous=True),
        AmbiguousOutcome("unknown", candidates=["u"], operation="op", request_id="r", attempts=2),
        WaitTimeout("late", last=Deployment(uid=DEPLOYMENT)),
        ConcurrentChangeError("changed", keys=["A"]),
    ]
    kinds = [getattr(errors, name) for name in errors.__all__ if name != "FieldError"]
    plain = [kind for kind in kinds if kind.__init__ is LaunchError.__init__]
    return special + [kind("what happened", **details) for kind in plain]


@pytest.mark.parametrize("error", _every_error(), ids=lambda error: type(error).__name__)
def test_every_error_keeps_everything_when_pickled_and_copied(error: LaunchError) -> None:
    if isinstance(error, APIError):
        error.body = "body"
    error.add_note("a note")

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert twin.__dict__ == error.__dict__
        assert twin.args == error.args
        assert str(twin) == str(error)


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (InvalidArgumentError, ValueError),
        (DeadlineExceeded, TimeoutError),
        (WaitTimeout, TimeoutError),
        (TransportError, ConnectionError),
        (errors.AttemptTimeout, TimeoutError),
        (StorageError, LaunchError),
    ],
)
def test_errors_are_also_builtin_exceptions(kind: type[LaunchError], base: type[Exception]) -> None:
    assert issubclass(kind, base)
    assert issubclass(kind, LaunchError)


def test_the_text_of_an_error_has_no_empty_notes() -> None:
    assert str(LaunchError("what happened")) == "what happened"


def test_the_text_of_an_error_contains_the_details_for_support() -> None:
    error = LaunchError("what happened", operation="op", status=500, codes=["a", "b"], attempts=2, request_id="r-1")

    assert str(error) == "what happened [operation op; status 500; code a, b; 2 attempts; request r-1]"
