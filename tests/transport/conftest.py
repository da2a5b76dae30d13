"""Every client of the SDK reads all certificates of the system, 60 ms a client; these tests speak plain HTTP."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

END = "-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True, scope="module")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    certificates = ssl.get_default_verify_paths().cafile
    with pytest.MonkeyPatch.context() as patch:
        if certificates is not None:
            first = tmp_path_factory.mktemp("certificates") / "one.pem"
            first.write_text(Path(certificates).read_text(encoding="utf-8").partition(END)[0] + END, encoding="utf-8")
            patch.setenv("SSL_CERT_FILE", str(first))
        yield
