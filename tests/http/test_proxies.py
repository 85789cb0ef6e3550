"""NO_PROXY: the forms that curl accepts, and other common forms."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from launch_async._proxies import bypasses, environment_proxy

CURL = [
    ("example.com", "a.example.com", True),
    ("example.com", "example.com", True),
    (".example.com", "a.example.com", True),
    (".example.com", "example.com", True),
    ("EXAMPLE.com.", "a.Example.COM", True),
    ("example.com", "a.example.com.", True),
    ("ple.com", "example.com", False),
    ("*example.com", "example.com", False),
    ("a.*.com", "a.example.com", False),
    ("*", "example.com", True),
    ("x example.com y", "example.com", True),
    ("x,,\texample.com , y", "example.com", True),
    ("x;example.com", "example.com", False),
    ("", "example.com", False),
    ("localhost", "localhost", True),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.1.2.3/8", "10.9.9.9", True),
    ("10.0.0.0/33", "10.0.0.0", False),
    ("10.1.2.3", "10.1.2.3", True),
    ("10.1", "10.1.2.3", False),
    (".2.3", "10.1.2.3", False),
    ("::1", "::1", True),
    ("::1", "::2", False),
    ("::/0", "10.1.2.3", False),
]
MORE = [
    ("*.example.com", "a.example.com", 443, True),
    ("*.example.com", "badexample.com", 443, False),
    ("x,*", "example.com", 443, True),
    ("example.com:443", "example.com", 443, True),
    ("example.com:443", "a.example.com", 443, True),
    ("example.com:443", "example.com", 8443, False),
    ("10.0.0.0/8:443", "10.1.2.3", 443, True),
    ("[::1]", "::1", 443, True),
    ("[::1]:443", "::1", 443, True),
    ("[::1]:443", "::1", 80, False),
    ("0:0:0:0:0:0:0:1", "::1", 443, True),
    ("fe80::/10", "fe80::1%eth0", 443, True),
    ("[fe80::]/10", "fe80::1", 443, True),
    ("10.0.0.0/0", "1.2.3.4", 443, True),
    ("., [, :, /, example.com:x", "example.com", 443, False),
]


@pytest.mark.parametrize(("no_proxy", "host", "direct"), CURL)
def test_no_proxy_is_read_as_by_curl(no_proxy: str, host: str, direct: bool) -> None:
    assert bypasses(no_proxy, host, 80) is direct


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_agrees_with_the_table() -> None:
    assert [(no_proxy, host, by_curl(no_proxy, host)) for no_proxy, host, _ in CURL] == CURL


def by_curl(no_proxy: str, host: str) -> bool:
    place = f"[{host}]" if ":" in host else host
    variables = {"PATH": os.environ["PATH"], "no_proxy": no_proxy, "http_proxy": "http://127.0.0.1:9"}
    nowhere = ["--resolve", "*:80:127.0.0.1", "--interface", "127.0.0.1", "--connect-timeout", "0.05"]
    curl = subprocess.run(
        ["curl", "-sv", *nowhere, f"http://{place}/"], env=variables, capture_output=True, text=True, check=False
    )
    return "127.0.0.1:9" not in curl.stderr.replace("http_proxy == 'http://127.0.0.1:9'", "")


@pytest.mark.parametrize(("no_proxy", "host", "port", "direct"), MORE)
def test_common_forms_of_no_proxy_are_understood(no_proxy: str, host: str, port: int, direct: bool) -> None:
    assert bypasses(no_proxy, host, port) is direct


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "proxy.test:3128"}, "http://proxy.test:3128"),
        ({"https_proxy": "http://lower.test", "HTTPS_PROXY": "http://upper.test"}, "http://lower.test"),
        ({"all_proxy": "http://all.test"}, "http://all.test"),
        ({"HTTPS_PROXY": "http://proxy.test", "NO_PROXY": "example.com"}, None),
        (
            {"HTTPS_PROXY": "http://proxy.test", "no_proxy": "other.test", "NO_PROXY": "example.com"},
            "http://proxy.test",
        ),
        ({"HTTPS_PROXY": "http://proxy.test", "no_proxy": "", "NO_PROXY": "example.com"}, None),
        ({"HTTPS_PROXY": "http://proxy.test", "NO_PROXY": "example.com:443"}, None),
    ],
)
def test_the_lower_case_variable_has_priority(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert environment_proxy("https", "a.example.com", None) == proxy
