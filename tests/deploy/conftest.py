"""Fixtures of the tests of what is shipped."""

from tests.deploy.installation import installation

__all__ = ["installation"]
