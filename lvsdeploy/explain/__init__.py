"""What lvsdeploy can explain: the page of a finding."""

from __future__ import annotations

from lvsdeploy.explain.findings import codes, page

__all__ = ["codes", "page"]
