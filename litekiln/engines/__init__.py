"""Engines run a step's program in a toolchain. Nothing outside this package knows how."""
