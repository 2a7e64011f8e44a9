"""Sample data for those who have no CSV at hand: the orders of a shop that never was."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TextIO

HEADER = (
    "order_id", "ordered_at", "customer", "country", "city", "category", "product", "quantity",
    "unit_price", "discount", "express", "delivered_on", "rating", "comment",
)  # fmt: skip

GROUP_ROWS = 2_000
_START = datetime(2024, 1, 1, 6, tzinfo=UTC)
_CITIES = (
    ("Germany", "Berlin", 9), ("Germany", "Köln", 5), ("Switzerland", "Zürich", 3),
    ("France", "Paris", 8), ("France", "Orléans", 1), ("Spain", "Málaga", 3),
    ("Poland", "Łódź", 3), ("Brazil", "São Paulo", 6), ("Japan", "Kyoto", 4),
    ("China", "Shenzhen", 9), ("Canada", "Montréal", 3), ("Kenya", "Nairobi", 2),
)  # fmt: skip
_PRODUCTS = (
    ("Kitchen", "Espresso machine", 389.0, 3), ("Kitchen", "Hand grinder", 79.5, 6),
    ("Kitchen", 'Pan, 28 cm, "forged"', 64.9, 5), ("Office", "Standing desk", 549.0, 2),
    ("Office", "Desk lamp", 45.0, 9), ("Office", "Notebook, dotted", 12.9, 22),
    ("Outdoor", "Rain jacket", 129.0, 7), ("Outdoor", "Tent for two", 259.0, 2),
    ("Outdoor", "Water bottle", 24.5, 15), ("Audio", "Headphones", 199.0, 6),
    ("Audio", "Record player", 319.0, 1), ("Audio", "Bookshelf speakers", 449.0, 1),
)  # fmt: skip
_COMMENTS = (
    "", "", "", "", "", "", "Arrived a day early, thank you!", "Box was damaged",
    'Exactly as described; the "good" kind', "Please ring twice", "n/a",
)  # fmt: skip


def write_orders(file: TextIO, rows: int, *, progress: Callable[[int], None]) -> None:
    """Write a CSV of orders, the same ones each time.

    Args:
        file: opened with newline="".
        rows: how many, without the header.
        progress: called now and then with the rows written so far.
    """
    random = Random(rows)
    cities = [city for city in _CITIES for _ in range(city[2])]
    products = [product for product in _PRODUCTS for _ in range(product[3])]
    writer = csv.writer(file)
    writer.writerow(HEADER)
    moment = _START
    for row in range(rows):
        moment += timedelta(seconds=int(random.expovariate(rows / 31e6)))
        city, product = random.choice(cities), random.choice(products)
        writer.writerow(_order(random, row, moment, city, product))
        if (row + 1) % GROUP_ROWS == 0:
            progress(row + 1)
    progress(rows)


def _order(
    random: Random,
    row: int,
    moment: datetime,
    city: tuple[str, str, int],
    product: tuple[str, str, float, int],
) -> tuple[object, ...]:
    die = random.random()
    days = 1 + int(random.gammavariate(2.0, 1.6))
    delivered = (moment + timedelta(days=days)).date() if die < 0.94 else ""
    rating = min(5, 1 + int(5 * random.betavariate(4, 1.2))) if die < 0.55 else ""
    return (
        f"SO-{row + 100_001:07d}",
        f"{moment:%Y-%m-%d %H:%M:%S}",
        f"C{int(60_000 * random.random() ** 2.5):05d}",
        city[0],
        city[1],
        product[0],
        product[1],
        1 + int(random.expovariate(1.1)),
        f"{product[2] * random.choice((0.9, 1, 1, 1.05)):.2f}",
        random.choice(("", "", "", "0.05", "0.1", "0.15")),
        "yes" if random.random() < 0.18 else "no",
        delivered,
        rating,
        random.choice(_COMMENTS),
    )
