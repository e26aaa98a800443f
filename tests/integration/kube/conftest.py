"""A real API server shared by the tests of this folder."""

from tests.support.kubefixtures import apiserver, client, namespace

__all__ = ["apiserver", "client", "namespace"]
