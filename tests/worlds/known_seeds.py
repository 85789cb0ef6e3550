"""Seeds of worlds that once had a violation, with its cause. The tests always run them.

A change of the random choices of the worlds changes the world of each seed. The notes then no longer describe it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["KNOWN_SEEDS"]

KNOWN_SEEDS: Final[dict[int, str]] = {
    25: "an answer that came twice, about another environment, was mistaken for the answer to a creation",
    111: "the repeated answer of a listing was mistaken for a truncated answer that names the new object",
    166: "a colleague's deployment of the same source was adopted before that of the run was listed",
    277: "the repeated answer of a listing was mistaken for a truncated answer that names the new object",
    322: "without a Date, a copy of a journal considered every deployment as new",
    372: "a resumed run reported a target as failed that it could not check, because the listing answered 524",
    397: "from a copy of a journal, a run used the local clock instead of the service's, and deployed again",
    516: "the repeated answer of a listing was mistaken for a truncated answer that names the new object",
    529: "from an older copy, a run adopted a deployment from minutes before its plan",
    691: "a resumed run reported a target as failed that it could not check, because the listing answered 520",
    695: "from an older copy, a run adopted a deployment from minutes before its plan",
    696: "an answer that came twice, about another environment, was mistaken for the answer to a creation",
    777: "from an older copy of a journal, a run attributed its own later deployment to others, and deployed again",
    811: "a resumed run reported a target as failed that it could not check, because the listing answered 522",
    897: "a resumed run reported a target as failed that it could not check, because the listing answered 524",
    2298: "a ZIP was considered different from the previous one, before the previous deployment was listed",
    2657: "older commits of colleagues were adopted, because recent deployments did not count as the newest ones",
    2852: "older commits of colleagues were adopted, because recent deployments did not count as the newest ones",
    3845: "an upload and its repetition were both lost, and the call for the upload adopted the repetition",
    5324: "without numbers, a colleague's older commit was adopted for the commit of a killed run",
    5660: "the address of a ZIP came twice, so each ZIP was attributed to the next deployment",
    5833: "from a copy of a journal without steps, a run adopted a deployment from minutes before its plan",
    7225: "the address of a ZIP came twice, so a deployment of another program got the ZIP of the previous one",
    7887: "older commits of colleagues were adopted, because recent deployments did not count as the newest ones",
    9001: "without a Date, a copy of a journal used the local clock instead of the service's, and deployed again",
}
