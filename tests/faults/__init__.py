"""Faults seen: small inputs that once went wrong, each asserted to be right. What is not mended
yet is expected to fail, and names its issue.
"""

import pytest


def pending(issue):
    """A fault that a later issue mends: the test must fail until then."""
    return pytest.mark.xfail(strict=True, reason=f"issue {issue}")
