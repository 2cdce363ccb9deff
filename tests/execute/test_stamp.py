"""Who applies, and when."""

from __future__ import annotations

import re

from lvsdeploy.execute.stamp import later_than, new_stamp
from lvsdeploy.record import Stamp


def test_a_stamp_says_who_and_when() -> None:
    stamp = new_stamp("drain web1\x1b[2J", b"version: 1\n")
    assert re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}", stamp.id)
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", stamp.at)
    assert "@" in stamp.by
    assert stamp.what == "drain web1 [2J"
    assert len(stamp.inventory) == 64
    assert new_stamp("apply").inventory == ""


def test_what_is_done_now_sorts_last() -> None:
    """Also within one second, and after somebody whose clock is ahead."""
    stamp = Stamp("20261123T235959Z-0000", "2026-11-23T23:59:59Z", "ann@desk")
    assert later_than(stamp, ()) is stamp
    assert later_than(stamp, ["20261123T235958Z-ffff"]) is stamp
    for others in (["20261123T235959Z-ffff", "20261122T000000Z-0000"], ["20270101T000000Z-0000"]):
        later = later_than(stamp, others)
        assert later.id > max(others)
        assert (later.at, later.by) == (stamp.at, stamp.by)
    for made_up in ("99991231T235959Z-ffff", "99999999T999999Z-ffff"):
        assert later_than(stamp, [made_up]) is stamp
    assert later_than(stamp, ["20261123T235959Z-ffff"]).id.startswith("20261124T000000Z-")
