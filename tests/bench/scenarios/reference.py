"""Plain aiohttp, which ours is compared with."""

from statistics import median

from deploy.local import free_port
from tests.bench.bench import Bench
from tests.bench.child import Child, program
from tests.bench.load import Browser, Load
from tests.bench.results import Row


class Bare:
    """One bare aiohttp WebSocket handler, on the loop of the standard library or on uvloop."""

    def __init__(self, bench: Bench, *, loop: str) -> None:
        self.port = free_port()
        log = bench.stage.folder / f"bare-{loop}.log"
        self.child: Child = program("programs.bare", self.port, loop, log=log)
        self.child.answer()
        self.name = f"bare aiohttp, {loop}"

    def browsers(self, count: int) -> list[Browser]:
        """So many."""
        return [Browser(self.port, n, f"/ws?number={n}") for n in range(count)]

    def __enter__(self) -> "Bare":
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close()


def bare_send(bench: Bench) -> list[Row]:
    """What one `send_str` costs: to one of 1,000 sockets, one after another."""
    rows = []
    for loop in ("asyncio", "uvloop"):
        with Bare(bench, loop=loop) as bare, Load(bench.stage.folder, f"bare-{loop}") as load:
            load.open(bare.browsers(len(bench.stage.sids)))
            costs = [send(bench, bare, load) for _ in range(bench.rounds + 1)][1:]
        name = f"bare send_str, {loop}"
        figures = {what: median(each[what] for each in costs) for what in costs[0]}
        rows.append(Row(name, "reference", figures, costs))
    return rows


def send(bench: Bench, bare: Bare, load: Load) -> dict[str, float]:
    """One loop of it."""
    count = bench.scale(20_000, 10_000)
    answer = bare.child.ask(f"random {count} {load.reset(count)}")
    if load.wait(count, 20) < count:
        raise RuntimeError("bare aiohttp lost a message")
    return {"nodes_us": answer["cpu_s"] / count * 1e6}
