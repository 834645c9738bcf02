# SPDX-License-Identifier: GPL-2.0
"""Pictures of make bench, drawn by gnuplot."""
import os
import shutil
import subprocess

from .bench_rows import NPT, VARIANTS
from .errors import Fatal

TERMINALS = {"svg": "svg noenhanced font 'sans,12' background rgb 'white'",
             "png": "pngcairo noenhanced font 'sans,9'"}
BETTER, SAME, WORSE = "#2a7f62", "#888888", "#c0392b"
COLORS = {"stock": "#c0392b", "ours": "#2a7f62"}
DASHES = {1: 1, 0: 2}
# Bars that would be longer end there.
LEAST, MOST = 0.001, 100
# A curve needs so many points.
POINTS = 3
PANELS = 3


def version():
    if not shutil.which("gnuplot"):
        return "none, no gnuplot"
    return subprocess.run(["gnuplot", "--version"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout.strip()


def draw(rows, folder, kind):
    """All pictures in a folder, as "svg" or "png", if gnuplot is there."""
    if not shutil.which("gnuplot"):
        print(f"no gnuplot: no {kind} pictures (Debian's package gnuplot-nox)")
        return
    pictures = {f"ratios-npt{npt}": ratios(rows, npt) for npt in NPT}
    pictures |= {f"curves-{bench}": curves(rows, bench)
                 for bench in dict.fromkeys(key.bench for key in rows.costs)}
    names = []
    for name, picture in pictures.items():
        if picture:
            names.append(f"{name}.{kind}")
            run_gnuplot(os.path.join(folder, names[-1]), kind, *picture)
    print(f"{', '.join(names)}: {folder}")


def run_gnuplot(path, kind, width, height, script):
    head = (f"set terminal {TERMINALS[kind]} size {width},{height}\n"
            f"set output '{path}'\n")
    result = subprocess.run(["gnuplot"], input=head + script, text=True,
                            check=False, stderr=subprocess.PIPE)
    if result.returncode:
        raise Fatal(f"gnuplot does not draw {path}: {result.stderr[-500:]}")


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def color(ratio):
    if f"{ratio:.2f}" == "1.00":
        return SAME
    return BETTER if ratio < 1 else WORSE


def ratios(rows, npt):
    """Bars from 1, to the left where ours takes less time than stock"""
    bars = [(key, rows.ratio(key, npt, "ns")) for key in rows.at_largest().keys(npt)]
    bars = [(key, ratio) for key, ratio in bars if ratio]
    if not bars:
        return None
    data, tics = [], []
    for number, (key, ratio) in enumerate(bars):
        end = min(max(ratio, LEAST), MOST)
        digits = 3 if ratio < 0.1 else 2
        data.append(f"{-number} {end} {int(color(ratio)[1:], 16)} "
                    f"{ratio:.{digits}f}")
        tics.append(f"{quoted(f'{key.bench}: {key.name}')} {-number}")
    low = max(min(ratio for _, ratio in bars), LEAST) / 2
    high = min(max(4, *(ratio * 2 for _, ratio in bars)), MOST)
    script = "\n".join([
        "$bars << END", *data, "END",
        f"set title 'Time of ours / time of stock, npt={npt}: "
        "green is less, red is more'",
        "set logscale x",
        f"set xrange [{low}:{high}]",
        f"set yrange [{0.2 - len(bars)}:0.8]",
        f"set ytics ({', '.join(tics)}) scale 0",
        "set grid x; set lmargin 62; set key off; set border 1",
        "set arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5",
        "set style fill solid",
        "plot $bars using 2:1:($2 < 1 ? $2 : 1):($2 < 1 ? 1 : $2)"
        ":($1 - 0.38):($1 + 0.38):3 with boxxyerror lc rgb variable, \\",
        "  '' using ($2 < 1 ? $2 : NaN):1:4 with labels right offset -0.5,0, \\",
        "  '' using ($2 < 1 ? NaN : $2):1:4 with labels left offset 0.5,0", ""])
    return 1000, 90 + 19 * len(bars), script


def curves(rows, bench):
    """A panel for each operation of a bench, over its parameter"""
    keys = [key for npt in NPT for key in rows.keys(npt)
            if key.bench == bench and key.parameter]
    titles = list(dict.fromkeys(key.title for key in keys))
    values = sorted({int(key.parameter) for key in keys})
    if len(values) < POINTS:
        return None
    panels = [panel(rows, [key for key in keys if key.title == title], values)
              for title in titles]
    lines = -(-len(panels) // PANELS)
    script = "\n".join([
        f"set multiplot layout {lines},{PANELS} title "
        f"'{bench}: microseconds, over {keys[0].of}'",
        "set grid; set logscale y; set format y '%g'; set mytics 1",
        "set key outside center bottom horizontal",
        *panels, "unset multiplot", ""])
    return 1200, 60 + 320 * lines, script


def short(value):
    return f"{value // 1000}k" if value >= 10000 else str(value)


def panel(rows, keys, values):
    data, plots, costs = [], [], []
    for npt in NPT:
        for index, variant in enumerate(VARIANTS):
            name = f"${variant}{npt}"
            points = {int(key.parameter):
                      rows.pair(key, npt, "ns")[index] / 1000
                      for key in keys if (variant, npt) in rows.costs[key]}
            if not points:
                continue
            costs += points.values()
            data += [f"{name} << END",
                     *(f"{x} {y}" for x, y in sorted(points.items())), "END"]
            plots.append(f"{name} title '{variant} npt={npt}' with linespoints "
                         f"pt 7 ps 0.6 lw 2 dt {DASHES[npt]} "
                         f"lc rgb '{COLORS[variant]}'")
    axis = ["unset logscale x"] if 0 in values else ["set logscale x"]
    tics = ", ".join(f"'{short(value)}' {value}" for value in values)
    margin = f"[{values[0] * 0.8}:{values[-1] * 1.3}]" if values[0] else \
        f"[-0.3:{values[-1] + 0.3}]"
    return "\n".join([
        *data, *axis, f"set xrange {margin}", f"set xtics ({tics})",
        f"set yrange [{max(min(costs), 0.001) / 4}:{max(costs) * 2}]",
        f"set title {quoted(keys[0].title)}", "plot " + ", ".join(plots)])
