"""The differential test: plays scripts against published servers, directly and through the gateway, and compares texts.

usage: compare.py BINARY [--server NAME]
"""

import argparse
import doctest
import sys
import tempfile
import time
from pathlib import Path

import gateway
import software
from differential import shape
from differential.run import compare_all
from differential.scripts import CALLS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="the portcullis to test")
    parser.add_argument("--server", choices=CALLS, action="append", help="only this server; may be repeated")
    options = parser.parse_args()
    if doctest.testmod(shape).failed:
        return 1
    if not software.install_all():
        return 2
    with tempfile.TemporaryDirectory(prefix="portcullis-differential-") as scratch:
        return report(options.binary, Path(scratch).resolve(), options.server or list(CALLS))


def report(binary, scratch, chosen):
    """Compares, says what was compared and returns the exit code."""
    started = time.monotonic()
    try:
        seen = compare_all(binary, scratch, chosen)
    except gateway.GatewayError as error:
        print(f"the gateway: {error}", file=sys.stderr)
        return 1
    for failure in seen.failures:
        print(f"\n{failure}")
    verdict = f"{len(seen.failures)} differ" if seen.failures else "nothing differs"
    seconds = f"{time.monotonic() - started:.0f} s"
    print(f"{seen.texts} texts of {seen.sessions} sessions, directly and through the gateway: {verdict} ({seconds})")
    return 1 if seen.failures or not seen.sessions else 0


if __name__ == "__main__":
    sys.exit(main())
