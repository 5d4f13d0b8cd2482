#!/usr/bin/env python3
"""Writes the tables of README.md and docs/benchmarks.md, and the picture docs/benchmarks.svg, from measurements.

    python benches/results/report.py 2026-11-30-intel-xeon-amx-2-cores

The argument is the beginning of the names of the JSON files in this folder that belong to one machine and day; the
files are those of `polyarray-bench compare --json` and of `benches/peers/numpy_peers.py --json`. A table replaces the
text between its two markers, `<!-- table NAME -->` and `<!-- end -->`. Requires matplotlib for the picture.
"""

import functools
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# The libraries of the columns, by the names in the files.
TITLES = {"simd": "`simd`", "blas": "`blas` (OpenBLAS)", "auto": "`auto`", "numpy": "NumPy", "blas:mkl_rt": "MKL",
          "scipy": "SciPy", "sklearn": "scikit-learn"}
PRODUCTS = ["simd", "blas", "faer", "gemm", "matrixmultiply", "blas:mkl_rt"]
LARGE = "add mul sqrt poly exp_plus_sin where sum min argmax".split()
MATRICES = "sum_axis0 sum_axis1 std transpose_copy".split()
SORTS = "sort argsort median".split()

# The tables: name: (parts of names of files, cases or none for all, columns, what the cells show).
TABLES = {
    "functions": (["functions-1-thread"], None, ["simd", "numpy", "numexpr"], "seconds"),
    "large": (["10-million", "matrices-5000", "sorts"], None, ["simd", "numpy", "numexpr"], "seconds"),
    "products-1": (["products-1-thread"], ["matmul"], PRODUCTS, "seconds"),
    "products": (["products"], ["matmul"], PRODUCTS, "seconds"),
    "products-skinny": (["products-skinny", "products-batched"], None, PRODUCTS, "seconds"),
    "distances": (["distances"], None, ["simd", "blas", "numpy", "scipy", "sklearn"], "seconds"),
    "errors": (["products-1-thread"], ["matmul"], PRODUCTS, "max_error"),
    "small-f32": (["small"], None, ["simd", "auto", "ndarray", "faer", "numpy"], "nanoseconds f32"),
    "small-f64": (["small"], None, ["simd", "auto", "ndarray", "faer", "numpy"], "nanoseconds f64"),
}

# The rows of the short table and of the picture: file, case, dtype, shape, and label.
SHORT = [
    ("functions-1-thread", "exp", "f32", [100_000], "exp of 100,000 f32, one thread"),
    ("functions-1-thread", "sin", "f64", [100_000], "sin of 100,000 f64, one thread"),
    ("10-million", "add", "f64", [10_000_000], "x + y, 10,000,000 f64"),
    ("10-million", "poly", "f64", [10_000_000], "2x^2 - 3x + 1, 10,000,000 f64"),
    ("10-million", "where", "f64", [10_000_000], "where(x > 2, x, y), 10,000,000 f64"),
    ("10-million", "sum", "f64", [10_000_000], "sum of 10,000,000 f64"),
    ("matrices-5000", "std", "f64", [5000, 5000], "standard deviation of 5,000 x 5,000 f64"),
    ("matrices-5000", "transpose_copy", "f64", [5000, 5000], "transposed copy of 5,000 x 5,000 f64"),
    ("sorts", "sort", "f64", [1_000_000], "sort of 1,000,000 f64"),
    ("sorts", "median", "f64", [1_000_000], "median of 1,000,000 f64"),
    ("products", "matmul", "f32", [1024, 1024, 1024], "product of 1,024 x 1,024 f32"),
    ("products", "matmul", "f64", [1024, 1024, 1024], "product of 1,024 x 1,024 f64"),
    ("small", "add", "f32", [1], "x + y, one f32"),
    ("small", "add", "f32", [1000], "x + y, 1,000 f32"),
    ("small", "sum", "f32", [1000], "sum of 1,000 f32"),
    ("small", "matmul", "f32", [4, 4, 4], "product of 4 x 4 f32"),
]


# The floors: part of the names of files, cases, and the ceiling that bounds them.
FLOORS = [
    ("10-million", "add mul sqrt poly exp_plus_sin where cumsum".split(), "triad"),
    ("10-million", "sum min argmax".split(), "read"),
    ("matrices-5000", ["transpose_copy"], "triad"),
    ("matrices-5000", "sum_axis0 sum_axis1 std".split(), "read"),
    ("sorts", SORTS, "triad"),
    ("products", ["matmul"], "fma"),
    ("distances", "cdist_euclidean cdist_cityblock cdist_cosine".split(), "fma"),
]


@functools.cache
def machine(prefix, part):
    """Returns the description of the machine, with its ceilings, from the file `PREFIX-PART.json`."""
    path = HERE / f"{prefix}-{part}.json"
    return json.loads(path.read_text().splitlines()[0])["machine"] if path.exists() else None


@functools.cache
def rows(prefix, part):
    """Returns the rows of the files `PREFIX-PART.json` and `PREFIX-PART-numpy.json`."""
    out = []
    for name in (f"{prefix}-{part}.json", f"{prefix}-{part}-numpy.json"):
        path = HERE / name
        if path.exists():
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            out += [row for row in lines if "op" in row]
    if not out:
        print(f"{prefix}-{part}.json does not exist: tables that need it stay as they are", file=sys.stderr)
    return out


def seconds(s):
    """Formats seconds with three significant figures."""
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if s * scale < 999.5:
            return f"{s * scale:.3g} {unit}"
    return f"{s:.3g} s"


def size(row):
    return " x ".join(f"{n:,}" for n in row["shape"])


def table(prefix, parts, ops, columns, shows):
    """Returns a table with a line for each case, dtype and size, and a column for each library that has any row; None
    if there is no row."""
    found = [row for part in parts for row in rows(prefix, part) if ops is None or row["op"] in ops]
    if " " in shows:
        shows, dtype = shows.split()
        found = [row for row in found if row["dtype"] == dtype]
    if not found:
        return None
    cells, labels = {}, []
    for row in found:
        label = f"{row['op']} {row['dtype']}, {size(row)}"
        if label not in labels:
            labels.append(label)
        cells[label, row["device"]] = row
    columns = [c for c in columns if any(row["device"] == c for row in found)]

    def cell(label, column):
        row = cells.get((label, column))
        if row is None:
            return "-"
        if shows == "max_error":
            return f"{row['max_error']:.1e}"
        ns = row["seconds"] * 1e9
        return seconds(row["seconds"]) if shows == "seconds" else f"{ns:.1f}" if ns < 99.95 else f"{ns:,.0f}"

    lines = ["| | " + " | ".join(TITLES.get(c, c) for c in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {label} | " + " | ".join(cell(label, c) for c in columns) + " |" for label in labels]
    return "\n".join(lines)


@functools.cache
def short(prefix):
    """Returns (label, seconds of polyarray, seconds of NumPy) for each row of the short table."""
    out = []
    for part, op, dtype, shape, label in SHORT:
        here = [r for r in rows(prefix, part) if (r["op"], r["dtype"], r["shape"]) == (op, dtype, shape)]
        of = lambda name: min((r["seconds"] for r in here if r["device"] == name), default=None)
        ours = of("auto") if part == "small" else of("simd")
        numpy = of("numpy")
        if ours is None or numpy is None:
            print(f"no rows of polyarray and NumPy for {label!r}: it is left out", file=sys.stderr)
            continue
        out.append((label, ours, numpy))
    return out


def short_table(prefix):
    lines = ["| | polyarray | NumPy | NumPy / polyarray |", "|---|---|---|---|"]
    for label, ours, numpy in short(prefix):
        lines.append(f"| {label} | {seconds(ours)} | {seconds(numpy)} | {numpy / ours:.1f} |")
    return "\n".join(lines)


def floors(prefix):
    """Returns the table of floors: for each case the bytes or operations that it cannot avoid, the time that they take
    at the ceiling measured in the same run, and the time of the fastest device of this library. None without rows."""
    lines = ["| | must do | ceiling | floor | measured | reached |", "|---|---|---|---|---|---|"]
    for part, ops, bound in FLOORS:
        described = machine(prefix, part)
        if described is None:
            continue
        ours = {device["name"] for device in described["devices"]}
        best = {}
        for row in rows(prefix, part):
            key = (row["op"], row["dtype"], tuple(row["shape"]))
            if row["op"] in ops and row["device"] in ours:
                best[key] = min(best.get(key, row), row, key=lambda r: r["seconds"])
        for row in best.values():
            one_or_all = "one" if row["threads"] == 1 else "all"
            if bound == "fma":
                # Vectors of f64 have half as many lanes.
                rate = described["fma_gflops"][one_or_all] / (2 if row["dtype"] == "f64" else 1)
                work, unit = row["gflops"] * row["seconds"], "GFLOP"
            else:
                rate, work, unit = described[f"{bound}_gbps"][one_or_all], row["gbps"] * row["seconds"], "GB"
            floor = work / rate
            title = {"fma": "multiply-adds", "read": "reading", "triad": "triad"}[bound]
            lines.append(
                f"| {row['op']} {row['dtype']}, {size(row)} | {work:.3g} {unit} | {title} {rate:.0f} {unit}/s "
                f"| {seconds(floor)} | {seconds(row['seconds'])} | {100 * floor / row['seconds']:.0f} % |"
            )
    return "\n".join(lines) if len(lines) > 2 else None


def replace(path, tables):
    """Replaces the tables of a Markdown file."""
    text = path.read_text()
    for name, content in tables.items():
        begin, end = f"<!-- table {name} -->\n", "<!-- end -->"
        if begin in text:
            head, rest = text.split(begin, 1)
            text = f"{head}{begin}\n{content}\n\n{end}{rest.split(end, 1)[1]}"
    path.write_text(text)


def picture(prefix, path):
    """Draws how many times as fast as NumPy polyarray is."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and repeated runs write the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "polyarray", "font.family": "sans-serif"})
    from matplotlib import pyplot

    data = short(prefix)[::-1]
    ratios = [numpy / ours for _, ours, numpy in data]
    figure, axes = pyplot.subplots(figsize=(8.5, 0.34 * len(data) + 0.9))
    colours = ["#0072b2" if r >= 1 else "#d55e00" for r in ratios]
    axes.barh(range(len(data)), [r - 1 for r in ratios], left=1, color=colours, height=0.7)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(data)), [label for label, *_ in data])
    axes.set_xlabel("times as fast as NumPy (logarithmic)")
    axes.set_xlim(min(0.5, min(ratios) / 1.3), max(ratios) * 2.2)
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    for i, (_, ours, numpy) in enumerate(data):
        axes.text(max(ratios[i], 1) * 1.05, i, f"{numpy / ours:.1f}  ({seconds(ours)})", va="center", fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None}, transparent=False)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    prefix = sys.argv[1]
    made = {name: table(prefix, *columns) for name, columns in TABLES.items()}
    tables = {name: text for name, text in made.items() if text is not None}
    tables["short"] = short_table(prefix)
    if (text := floors(prefix)) is not None:
        tables["floors"] = text
    for path in (ROOT / "README.md", ROOT / "docs" / "benchmarks.md"):
        replace(path, tables)
    picture(prefix, ROOT / "docs" / "benchmarks.svg")


if __name__ == "__main__":
    main()
