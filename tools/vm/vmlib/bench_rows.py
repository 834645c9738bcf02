# SPDX-License-Identifier: GPL-2.0
"""The results of make bench and bench-holds: rows, as CSV and as a table."""
import csv
import dataclasses

NPT = (1, 0)
VARIANTS = ("stock", "ours")
COLUMNS = [(variant, npt) for npt in NPT for variant in VARIANTS]
KEY_FIELDS = ["bench", "operation", "parameter", "of", "per", "npt"]
# From here on, a ratio counts as worse: less is shown as 1.00.
WORSE = 1.005
NAME_WIDTH = 52


@dataclasses.dataclass(frozen=True)
class Measure:
    """Something that is measured; and how a table shows it"""

    field: str
    title: str
    scale: int
    digits: int


COSTS = (Measure("instructions", "instructions", 1, 0),
         Measure("ns", "microseconds", 1000, 2))
HOLDS = (Measure("write_ns", "us held for writing", 1000, 2),
         Measure("read_ns", "us held for reading", 1000, 2))


def fields(measures):
    """The head of a CSV"""
    return KEY_FIELDS + [f"{variant}_{measure.field}" for measure in measures
                         for variant in VARIANTS]


@dataclasses.dataclass(frozen=True)
class Key:
    """What a row is about; the parameter may be empty."""

    bench: str
    operation: str
    parameter: str
    of: str
    per: str

    @property
    def title(self):
        """The operation, with a unit where it is not a single call."""
        unit = "" if self.per == "call" else f" ({self.per})"
        return self.operation + unit

    @property
    def name(self):
        """All of it but the bench"""
        if not self.parameter:
            return self.title
        return f"{self.title}, {int(self.parameter):,} {self.of}"


class Rows:
    """Costs, by key, (variant, npt) and the field of a measure"""

    def __init__(self, versions, measures=COSTS):
        self.versions = list(versions)
        self.measures = measures
        self.costs = {}

    def add(self, key, column, cost):
        """One cost of each measure"""
        names = [measure.field for measure in self.measures]
        self.costs.setdefault(key, {})[column] = dict(zip(names, cost))

    def keys(self, npt):
        """Those that both variants have"""
        return [key for key, costs in self.costs.items()
                if all((variant, npt) in costs for variant in VARIANTS)]

    def at_largest(self):
        """Each operation with its largest parameter only, which comes last"""
        last = {(key.bench, key.operation): key for key in self.costs}
        return self._with_keys(last.values())

    def brief(self):
        """at_largest(), without operations that cost nothing in any column"""
        rows = self.at_largest()
        return rows._with_keys(
            key for key, columns in rows.costs.items()
            if any(cost for costs in columns.values() for cost in costs.values()))

    def _with_keys(self, keys):
        rows = Rows(self.versions, self.measures)
        rows.costs = {key: self.costs[key] for key in keys}
        return rows

    def pair(self, key, npt, field):
        """What stock and ours cost"""
        return tuple(self.costs[key][variant, npt][field]
                     for variant in VARIANTS)

    def ratio(self, key, npt, field):
        stock, ours = self.pair(key, npt, field)
        return ours / stock if stock > 0 else None


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        for line in rows.versions:
            print("#", line, file=file)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(fields(rows.measures))
        for npt in NPT:
            for key in rows.keys(npt):
                costs = [f"{cost:.1f}" for measure in rows.measures
                         for cost in rows.pair(key, npt, measure.field)]
                writer.writerow([*dataclasses.astuple(key), npt, *costs])


def read_csv(path, measures=COSTS):
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.read().splitlines()
    comments = [line for line in lines if line.startswith("#")]
    rows = Rows((line.removeprefix("# ") for line in comments), measures)
    for record in csv.DictReader(lines[len(comments):]):
        key = Key(*(record[field.name] for field in dataclasses.fields(Key)))
        for variant in VARIANTS:
            rows.add(key, (variant, int(record["npt"])),
                     tuple(float(record[f"{variant}_{measure.field}"])
                           for measure in measures))
    return rows


def table(rows):
    """Lines: a part for each paging mode, a title for each bench"""
    for npt in NPT:
        titles = "".join(f"{measure.title:^32}" for measure in rows.measures)
        yield f"{f'npt={npt}':{NAME_WIDTH}}{titles}".rstrip()
        yield " " * NAME_WIDTH + f"{'stock':>13}{'ours':>13}{'ratio':>6}" * 2
        bench = None
        for key in rows.keys(npt):
            if key.bench != bench:
                bench = key.bench
                yield bench
            yield row(rows, key, npt)
        yield ""


def ratio_cell(ratio):
    """Its six places have room for two digits behind the point of a small one."""
    if ratio is None:
        return f"{'-':>6}"
    return f"{ratio:>6.2f}" if ratio < 100 else f"{ratio:>6.0f}"


def row(rows, key, npt):
    cells = []
    for measure in rows.measures:
        stock, ours = rows.pair(key, npt, measure.field)
        ratio = rows.ratio(key, npt, measure.field)
        cells.append(f"{stock / measure.scale:>13,.{measure.digits}f}"
                     f"{ours / measure.scale:>13,.{measure.digits}f}"
                     + ratio_cell(ratio))
    return f"  {key.name:{NAME_WIDTH - 2}}" + "".join(cells)


def worse(rows):
    """Lines that name what costs more than with stock's modules"""
    found = [(rows.ratio(key, npt, measure.field), key, npt, measure.field)
             for npt in NPT for key in rows.keys(npt)
             for measure in rows.measures]
    found = [entry for entry in found if (entry[0] or 0) >= WORSE]
    found.sort(key=lambda entry: -entry[0])
    total = sum(len(rows.keys(npt)) for npt in NPT) * len(rows.measures)
    yield f"Ours is worse in {len(found)} of {total} ratios:"
    for ratio, key, npt, field in found:
        yield f"  {ratio:.2f}  npt={npt}  {field:12}  {key.bench}: {key.name}"
