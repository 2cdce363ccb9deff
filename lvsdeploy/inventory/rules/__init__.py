"""The semantic rules: one small function each, registered under its code. Importing this loads them all."""

from __future__ import annotations
