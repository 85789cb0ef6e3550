"""Seeds of worlds in which something was wrong once, with what it was. They are run for ever.

A change of what the worlds decide gives every seed another world: then these hold what they then are, and no more.
"""

from __future__ import annotations

from typing import Final

__all__ = ["KNOWN_SEEDS"]

KNOWN_SEEDS: Final[dict[int, str]] = {
    25: "an answer that came twice, about another environment, was taken for that of a creation",
    111: "the doubled answer of a listing was taken for a cut-off one that names what was created",
    166: "a colleague's deployment of the same source was adopted, while that of the run was not listed yet",
    277: "the doubled answer of a listing was taken for a cut-off one that names what was created",
    322: "without a Date, a copy of a journal took every deployment for a new one",
    372: "a resumed run called failed what it could not look up, because the listing answered 524",
    397: "from a copy of a journal, a run took this machine's clock for the service's, and deployed again",
    516: "the doubled answer of a listing was taken for a cut-off one that names what was created",
    529: "from an older copy, a run took a deployment of minutes before its plan for its own",
    691: "a resumed run called failed what it could not look up, because the listing answered 520",
    695: "from an older copy, a run took deployments of minutes before its plan for its own",
    696: "an answer that came twice, about another environment, was taken for that of a creation",
    777: "from an older copy of a journal, a run took what had been sent since for somebody else's, and deployed again",
    811: "a resumed run called failed what it could not look up, because the listing answered 522",
    897: "a resumed run called failed what it could not look up, because the listing answered 524",
    2298: "a ZIP was called another one than before, while the deployment before it was not listed yet",
    2657: "older commits of colleagues were adopted, as deployments of minutes before did not count as the last ones",
    2852: "older commits of colleagues were adopted, as deployments of minutes before did not count as the last ones",
    3845: "an upload and a repetition of it were lost side by side, and the upload's call took the repetition",
    5324: "without numbers, a colleague's older commit was adopted for that of a killed run",
    5660: "the address of a ZIP came twice, and each ZIP was then taken for the next deployment's",
    5833: "from a copy of a journal without steps, a run took a deployment of minutes before its plan for its own",
    7225: "the address of a ZIP came twice, and somebody else's deployment had the ZIP of the one before",
    7887: "older commits of colleagues were adopted, as deployments of minutes before did not count as the last ones",
    9001: "without a Date, a copy of a journal took this machine's clock for the service's, and deployed again",
}
