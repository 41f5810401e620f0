"""What public scanners find in ``examples/pages`` behind nginx: sslyze, and wapiti where it is installed.

    pip install sslyze; apt install wapiti
    python -m tests.scanned

Needs to be root, or a line ``127.0.0.1 notes.example`` in the hosts file: scanners look names up. What is found, and what
it means, stands in ``docs/scanners.md``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .test_browser import HOST, Site

HOSTS = Path("/etc/hosts")


@contextmanager
def named() -> Iterator[None]:
    """While the name of the site leads to this machine."""
    before = HOSTS.read_text()
    if HOST in before:
        yield
        return
    if not os.access(HOSTS, os.W_OK):
        sys.exit(f"Add this line to {HOSTS}: 127.0.0.1 {HOST}")
    HOSTS.write_text(f"{before}127.0.0.1 {HOST}\n")
    try:
        yield
    finally:
        HOSTS.write_text(before)


def main() -> int:
    missing = [name for name in ("sslyze", "wapiti") if shutil.which(name) is None]
    if len(missing) == 2:
        sys.exit("Neither sslyze nor wapiti is installed.")
    folder = Path(tempfile.mkdtemp(prefix="scanned-"))
    site = Site(folder)
    try:
        with named():
            host = f"{HOST}:{site.nginx.tls}"
            authority = str(site.certificate.authority)
            if "sslyze" not in missing:
                subprocess.run(
                    ["sslyze", "--certinfo_ca_file", authority, "--mozilla_config=intermediate", host], check=False
                )
            if "wapiti" not in missing:
                report = folder / "wapiti.txt"
                subprocess.run(
                    [
                        *("wapiti", "-u", f"https://{host}/", "--verify-ssl", "0", "-m", "all", "--flush-session"),
                        *("-f", "txt", "-o", str(report), "--max-scan-time", "300", "--no-bugreport"),
                    ],
                    check=False,
                )
                print(report.read_text())
    finally:
        site.stop()
        shutil.rmtree(folder)
    for name in missing:
        print(f"Not run, because it is not installed: {name}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
