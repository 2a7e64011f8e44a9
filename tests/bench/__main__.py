"""Ours beside its peers, in one run on one machine.

make bench                          # everything: some twenty minutes
make bench ARGS=--quick             # a glance of two minutes
make bench ARGS="--only w1,w2"      # some scenarios
make bench ARGS="--only scaling"    # and those that run only when they are named
"""

import argparse
import importlib
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.child import PROJECT
from tests.bench.machine import machine, versions
from tests.bench.report import Report, save, table
from tests.bench.results import Result
from tests.bench.stage import Stage

CROWDED = ("w1", "w2", "latency", "unheard", "history")
QUIET = ("stalled", "fanout", "idle", "handshake", "catchup", "calls", "imports")
BY_NAME = ("scaling", "soak", "memory")


def main(argv: list[str]) -> int:
    options = parse(argv)
    names = options.only.split(",") if options.only else [*CROWDED, *QUIET]
    raise_limits()
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)  # nginx, started by root, works as another user
        with Stage(Path(name)) as stage:
            results = perform(Bench(stage, options.quick, say), names)
            found = versions(stage)
    report = Report(results, machine(), found, options.quick, time.monotonic() - began)
    print(table(report))
    save(report, options.out)
    print(f"\n{options.out}: bench.json, bench.md, bench.svg, bench-dark.svg")
    return 1 if any(result.failed for result in results) else 0


def perform(bench: Bench, names: list[str]) -> list[Result]:
    """Run the scenarios; an interrupt (Ctrl-C) ends it with what there is by then."""
    results: list[Result] = []
    try:
        for name in names:
            results += scenario(bench, name)
    except KeyboardInterrupt:
        if not results:
            raise
        bench.say("interrupted")
    finally:
        bench.disperse()
    return results


def scenario(bench: Bench, name: str) -> list[Result]:
    """Run one; before the first that needs no crowds they go home."""
    bench.say(name)
    if name not in CROWDED:
        bench.disperse()
    try:
        found = importlib.import_module(f"tests.bench.scenarios.{name}").run(bench)
    except Exception as exc:  # noqa: BLE001  # the others are still worth their time
        traceback.print_exc()
        bench.disperse()  # they may still owe an answer
        return [Result(name, name, [], failed=f"{type(exc).__name__}: {exc}".splitlines()[0])]
    return [found] if isinstance(found, Result) else list(found)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    known = (*CROWDED, *QUIET, *BY_NAME)
    parser.add_argument("--only", help=f"scenarios, comma-separated: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, messages and peers")
    out = PROJECT / "build" / "bench"
    parser.add_argument("--out", type=Path, default=out, help="folder for JSON, table and chart")
    options = parser.parse_args(argv)
    for name in options.only.split(",") if options.only else ():
        if name not in known:
            parser.error(f"there is no scenario {name!r}: {', '.join(known)}")
    return options


def raise_limits() -> None:
    """Files for ten thousand sockets, where we may; and an end that reaches what we started."""
    wanted = 65_536
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
