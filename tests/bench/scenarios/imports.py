"""What `import progress_ws` costs a process, beside aio-pika and aiohttp."""

import subprocess
import sys
import time
from statistics import median

from tests.bench.bench import Bench
from tests.bench.results import Goal, Result, Row

FORMS = {
    "nothing": "pass",
    "import progress_ws": "import progress_ws",
    "import aio_pika, aiohttp": "import aio_pika, aiohttp",
}


def run(bench: Bench) -> Result:
    found: dict[str, list[float]] = {name: [] for name in FORMS}
    for number in range(bench.scale(15, 5) + 1):
        for name, text in FORMS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", text], check=True)
            if number:
                found[name].append((time.perf_counter() - began) * 1000)
    nothing, ours, theirs = (median(each) for each in found.values())
    return Result(
        "imports",
        "What importing costs, in ms",
        [
            Row("import progress_ws", "ours", {"ms": ours - nothing}),
            Row("import aio_pika, aiohttp", "reference", {"ms": theirs - nothing}),
        ],
        [Goal("part of aio_pika and aiohttp", (ours - nothing) / (theirs - nothing), 0.5)],
        ["A process that imports nothing is taken off."],
    )
