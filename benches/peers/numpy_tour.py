#!/usr/bin/env python3
"""The programs of examples/tour in NumPy, with the names that they have there.

Prints each program with its time and the largest memory that tracemalloc saw while it ran. --json FILE writes the
figures as `cargo run --release --example tour -- --json FILE` does, and --with FILE prints the ratio of NumPy's time to
the time in such a file.
"""

import argparse
import json
import os
import tempfile
import time
import tracemalloc

import numpy as np

ROWS = []


def run(theme, program, function, prepare=lambda: ()):
    """Measures a program on what `prepare` makes: its memory in one run, and the least time of three others."""
    given = prepare()
    tracemalloc.start()
    result = function(*given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    seconds = float("inf")
    for _ in range(3):
        given = prepare()
        start = time.perf_counter()
        result = function(*given)
        seconds = min(seconds, time.perf_counter() - start)
    ROWS.append({"theme": theme, "program": program, "seconds": seconds, "peak": peak})
    return result


def strides():
    n = 2000
    a = np.arange(float(n * n)).reshape(n, n)

    def by_element():
        total = 0.0
        for i in range(n):
            for j in range(n):
                total += a[i, j]
        return total

    yield "sum, element by element", by_element
    yield "sum", lambda: a.sum()
    yield "sum of each column", lambda: a.sum(axis=0)
    yield "sum of each row", lambda: a.sum(axis=1)
    yield "transpose as a view", lambda: a.T
    yield "transpose as a copy", lambda: np.ascontiguousarray(a.T)
    yield "sum of the diagonal", lambda: a.diagonal().sum()
    windows = np.lib.stride_tricks.sliding_window_view(a, (3, 3))
    yield "mean of each window of 3 by 3", lambda: windows.mean(axis=(2, 3))


def views():
    x = np.arange(1e7)
    view = x[::2]
    yield "every second element as a copy", lambda: x[::2].copy()
    yield "every second element as a view", lambda: x[::2]
    yield "sum of the view", lambda: view.sum()

    def write():
        y = x.copy()
        y[0] = -1
        return y

    # NumPy has no clones that share a buffer until one is written.
    yield "write of one element to a clone", write
    y = x.copy()

    def borrowed():
        y[::2] = 0

    yield "write of every second element, borrowed", borrowed
    yield "ten elements, made compact", lambda: x[:10].copy()


def outputs():
    x, y = np.linspace(0, 1, 10_000_000), np.linspace(1, 3, 10_000_000)
    out = np.zeros_like(x)

    def given():
        np.multiply(x, 2, out=out)
        np.add(out, y, out=out)
        return np.sqrt(out, out=out)

    def in_place(z):
        z *= 2
        z += y
        return np.sqrt(z, out=z)

    yield "a result of each step", lambda: np.sqrt(x * 2 + y)
    yield "a fresh result", lambda: np.sqrt(x * 2 + y)
    yield "into a given output", given
    yield "in place", in_place, lambda: (x.copy(),)
    yield "the sum of the expression", lambda: np.sqrt(x * 2 + y).sum()


def dtypes():
    image = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    yield "scaled in f64, in two steps", lambda: image.astype(np.float64) / 255
    yield "scaled in f32", lambda: image.astype(np.float32) / np.float32(255)
    yield "scaled in f32, stored in f16", lambda: (image.astype(np.float32) / np.float32(255)).astype(np.float16)
    yield "mean of each channel of the bytes", lambda: image.mean(axis=(0, 1))
    yield "subtraction that stops at zero", lambda: np.maximum(image, 50) - np.uint8(50)


def broadcasting():
    x = np.random.default_rng(1).normal(5, 2, (200_000, 20))

    def tiled():
        mean, std = (np.tile(part, (len(x), 1)) for part in (x.mean(axis=0), x.std(axis=0)))
        return (x - mean) / std

    yield "standardised columns, with tiled rows", tiled
    yield "standardised columns", lambda: (x - x.mean(axis=0)) / x.std(axis=0)
    yield "rows with the sum 1", lambda: x / x.sum(axis=1, keepdims=True)
    points = np.linspace(0, 1, 2000)
    yield "table of the distances of all pairs", lambda: np.abs(points[:, None] - points)
    a = x[:244, :8]
    yield "squared distances, by an array of 3 axes", lambda: ((a[:, None] - a[None]) ** 2).sum(axis=2)

    def contracted():
        apart = a[:, None] - a[None]
        return np.einsum("ijk,ijk->ij", apart, apart)

    yield "squared distances, by a reduction", contracted
    squares = lambda: (a * a).sum(axis=1)
    yield "distances, by their metric", lambda: np.sqrt(np.maximum(squares()[:, None] - 2 * (a @ a.T) + squares(), 0))


def masks():
    x = np.random.default_rng(2).normal(0, 1, 10_000_000)
    yield "positive part, by a choice", lambda: np.where(x > 0, x, 0)
    yield "positive part, by a maximum", lambda: np.maximum(x, 0)
    yield "count between two bounds, by three masks", lambda: np.count_nonzero((x > -1) & (x < 1))
    yield "count between two bounds", lambda: np.count_nonzero((x > -1) & (x < 1))
    yield "the elements above 1", lambda: x[x > 1]
    yield "mean of the elements above 1, picked", lambda: x[x > 1].mean()
    yield "mean of the elements above 1, chosen", lambda: x.mean(where=x > 1)

    def limited(y, outliers):
        y[outliers] = 0
        return y

    yield "elements beyond 3 replaced in place", limited, lambda: (x.copy(), np.abs(x) > 3)
    yield "indices of the elements beyond 4", lambda: np.nonzero(np.abs(x) > 4)
    yield "three bands", lambda: np.select([x < -1, x > 1], [np.int8(-1), np.int8(1)], np.int8(0))


def running():
    steps, window = np.random.default_rng(3).normal(0, 1, 1_000_000), 100
    x = steps.cumsum()
    view = np.lib.stride_tricks.sliding_window_view(x, window)

    def sums():
        c = np.concatenate(([0], x.cumsum()))
        return (c[window:] - c[:-window]) / window

    yield "a random walk", lambda: steps.cumsum()
    yield "mean of each window, by a view of windows", lambda: view.mean(axis=1)
    yield "mean of each window, by running sums", sums
    yield "mean of each window, by a convolution", lambda: np.convolve(x, np.full(window, 1 / window), "valid")
    yield "deepest fall from the highest value so far", lambda: (np.maximum.accumulate(x) - x).max()


def polynomial():
    x = np.linspace(-1, 1, 10_000_000)
    narrow = x.astype(np.float32)
    y = ((4 * x - 3) * x + 2) * x - 1
    yield "powers, a result of each step", lambda: 4 * x**3 - 3 * x**2 + 2 * x - 1
    yield "powers, in one pass", lambda: 4 * x**3 - 3 * x**2 + 2 * x - 1
    yield "Horner's rule, in one pass", lambda: ((4 * x - 3) * x + 2) * x - 1
    yield "coefficients of a list, in one pass", lambda: np.polyval([4, -3, 2, -1], x)
    yield "Horner's rule, in f32", lambda: ((4 * narrow - 3) * narrow + 2) * narrow - 1
    yield "integral of the result", lambda: np.trapezoid(y, dx=2 / (len(x) - 1))


def customers():
    rng, n = np.random.default_rng(4), 1_000_000
    age, visits = rng.integers(18, 91, n, dtype=np.uint8), rng.poisson(6, n)
    spent = rng.exponential(120, n)

    def standard(x):
        return (x - x.mean()) / x.std()

    def score():
        near_forty = np.abs(age.astype(np.float64) - 40)
        return 0.5 * standard(np.log1p(spent)) + 0.3 * standard(visits) - 0.2 * standard(near_forty)

    s = score()
    bounds = np.quantile(s, [0.2, 0.4, 0.6, 0.8])
    segment = np.searchsorted(bounds, s, "right")
    sizes = np.bincount(segment, minlength=5)
    yield "score, a result of each step", score
    yield "score, in one pass", score
    yield "bounds of the fifths", lambda: np.quantile(s, [0.2, 0.4, 0.6, 0.8])
    yield "segment of each customer", lambda: np.searchsorted(bounds, s, "right")
    yield "sizes of the segments", lambda: np.bincount(segment, minlength=5)
    yield "spending of each segment, by masks", lambda: [spent[segment == k].mean() for k in range(5)]
    yield "spending of each segment, by one count", lambda: np.bincount(segment, spent, 5) / sizes

    def best():
        order = np.argpartition(s, -10)[-10:]
        return order[np.argsort(-s[order])]

    yield "ten best customers", best
    yield "customers of a campaign", lambda: np.nonzero((visits >= 8) & (spent > 200) & (age < 60))


def sales():
    rng, (products, regions, days) = np.random.default_rng(5), (300, 40, 364)
    demand, noise = rng.gamma(2, 3, (products, 1, 1)), rng.uniform(0, 2, (products, regions, days))
    cube, prices = demand * noise, rng.uniform(5, 50, products)
    totals, weeks = cube.sum(axis=(1, 2)), cube.reshape(products, regions, 52, 7).sum(axis=(0, 1, 3))

    def share():
        year = cube.sum(axis=2)
        return year / year.sum(axis=0, keepdims=True)

    yield "the cube: demand of a product, and noise", lambda: demand * noise
    yield "total of each product, by a loop of views", lambda: np.array([product.sum() for product in cube])
    yield "total of each product", lambda: cube.sum(axis=(1, 2))
    yield "total of each region", lambda: cube.sum(axis=(0, 2))
    yield "total of each day", lambda: cube.sum(axis=(0, 1))
    yield "total", lambda: cube.sum()
    yield "top five products", lambda: np.argsort(-totals)[:5]
    yield "top five products of each region", lambda: np.argsort(-cube.sum(axis=2).T, axis=1)[:, :5]
    yield "best day of each product and region", lambda: cube.argmax(axis=2)
    yield "share of each product in its region", share
    yield "total of each week", lambda: cube.reshape(products, regions, 52, 7).sum(axis=(0, 1, 3))
    yield "growth from week to week", lambda: weeks[1:] / weeks[:-1] - 1
    yield "income of each day", lambda: np.einsum("prd,p->d", cube, prices)


def chunks():
    n = 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "numbers.npy")
        np.save(path, np.random.default_rng(6).normal(10, 2, n))
        kept = np.zeros(n, np.float32)

        def parts():
            file = np.load(path, mmap_mode="r")
            return (np.array(file[at : at + n // 10]) for at in range(0, n, n // 10))

        def whole():
            x = np.load(path)
            return x.mean(), x.var()

        def joined():
            count, mean, squares = 0, 0.0, 0.0
            for x in parts():
                apart, total = x.mean() - mean, count + len(x)
                squares += x.var() * len(x) + apart * apart * count * len(x) / total
                mean, count = mean + apart * len(x) / total, total
            return mean, squares / count

        def converted():
            for i, x in enumerate(parts()):
                kept[i * (n // 10) : (i + 1) * (n // 10)] = x - 10

        histogram = lambda x: np.histogram(x, 20, (0, 20))[0]
        yield "the whole file at once", whole
        yield "ten chunks, one after the other", joined
        yield "histogram of the whole file", lambda: histogram(np.load(path))
        yield "histogram in chunks", lambda: sum(histogram(x) for x in parts())
        yield "converted to f32 in chunks", converted


def statistics():
    rng, n = np.random.default_rng(8), 1_000_000
    x = rng.normal(100, 15, n)
    mean, deviation = x.mean(), x.std()
    edges = np.histogram_bin_edges(x, 50)
    gaps = np.where(x > 130, np.nan, x)
    z, noise = (x - mean) / deviation, rng.normal(0, 1, (3, n))
    variables = np.stack([z, z + noise[0], noise[1] - z, noise[2]])

    def moments():
        z = (x - mean) / deviation
        return (z**3).mean(), (z**4).mean()

    yield "mean and deviation", lambda: (x.mean(), x.std())
    yield "skewness and kurtosis", moments
    yield "quartiles, of a sorted copy", lambda: np.sort(x)[[n // 4, n // 2, 3 * n // 4]]
    yield "quartiles", lambda: np.quantile(x, [0.25, 0.5, 0.75])
    yield "median", lambda: np.median(x)
    yield "histogram of 50 bins", lambda: np.histogram(x, 50)
    yield "bin of each element", lambda: np.digitize(x, edges)
    yield "mean without the missing numbers", lambda: np.nanmean(gaps)
    yield "correlations of four variables", lambda: np.corrcoef(variables)
    yield "covariances of four variables", lambda: np.cov(variables)


def models():
    rng, n, d = np.random.default_rng(9), 200_000, 8
    x = rng.normal(0, 1, (n, d))
    y = x @ np.linspace(-2, 2, d) + rng.normal(0, 0.5, n)

    def descent():
        w = np.zeros(d)
        for _ in range(50):
            w -= x.T @ (x @ w - y) * (0.5 / n)
        return w

    w = np.linalg.solve(x.T @ x, x.T @ y)
    yield "weights, by 50 steps of gradient descent", descent
    yield "weights, by the normal equations", lambda: np.linalg.solve(x.T @ x, x.T @ y)
    yield "share of the variance that is explained", lambda: 1 - ((y - x @ w) ** 2).mean() / y.var()
    angles = np.linspace(0, 6, 20)
    factors = rng.normal(0, 1, (100_000, 2))
    rows = factors @ np.stack([3 * np.cos(angles), np.sin(angles)]) + rng.normal(0, 0.1, (100_000, 20)) + 7
    centred = rows - rows.mean(axis=0)
    covariances = np.cov(rows.T)

    def principal(a):
        v = np.ones(len(a))
        for _ in range(60):
            v = a @ v
            v /= np.linalg.norm(v)
        return v @ a @ v, v

    def two():
        value, v = principal(covariances)
        return np.stack([v, principal(covariances - value * np.outer(v, v))[1]])

    axes = two()
    yield "covariances of columns, by products", lambda: centred.T @ centred / (len(rows) - 1)
    yield "covariances of columns", lambda: np.cov(rows.T)
    yield "two principal components", two
    yield "rows in two dimensions", lambda: centred @ axes.T


def clusters():
    rng, n, k, d = np.random.default_rng(10), 100_000, 5, 8
    points = rng.uniform(-50, 50, (k, d))[np.arange(n) % k] + rng.normal(0, 1, (n, d))
    start = points[:k].copy()

    def nearest(centres):
        squares = (points * points).sum(axis=1)[:, None] + (centres * centres).sum(axis=1)
        return (squares - 2 * points @ centres.T).argmin(axis=1)

    def moved(labels):
        sums = np.zeros((k, d))
        np.add.at(sums, labels, points)
        return sums / np.bincount(labels, minlength=k)[:, None]

    def rounds():
        centres = start
        for _ in range(10):
            centres = moved(nearest(centres))
        return nearest(centres)

    labels = nearest(start)
    yield "nearest centres, by an array of 3 axes", lambda: ((points[:, None] - start) ** 2).sum(axis=2).argmin(axis=1)
    yield "nearest centres, by distances", lambda: nearest(start)
    yield "new centres, by masks", lambda: np.stack([points[labels == i].mean(axis=0) for i in range(k)])
    yield "new centres, by one scatter", lambda: moved(labels)
    yield "ten rounds of k-means", rounds
    images = rng.uniform(0, 1, (20_000, 784)).astype(np.float32)
    w1, b1, w2, b2 = (rng.normal(0, 0.1, s).astype(np.float32) for s in ((784, 128), 128, (128, 10), 10))

    def forward():
        logits = np.maximum(images @ w1 + b1, 0) @ w2 + b2
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    shares = forward()
    classes = shares.argmax(axis=1)
    yield "forward pass, a result of each step", forward
    yield "forward pass, with epilogues", forward
    yield "classes", lambda: shares.argmax(axis=1)
    yield "cross-entropy", lambda: -np.log(np.take_along_axis(shares, classes[:, None], 1)).mean()


THEMES = [
    strides, views, outputs, dtypes, broadcasting, masks, running, polynomial, customers, sales, chunks, statistics,
    models, clusters,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("themes", nargs="*", help="names of themes; all if there are none")
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--with", dest="other", help="file with the figures of the example `tour`")
    args = parser.parse_args()
    if unknown := set(args.themes) - {theme.__name__ for theme in THEMES}:
        parser.error(f"there is no theme {', '.join(sorted(unknown))}")
    rust = {}
    if args.other:
        with open(args.other) as lines:
            rust = {(row["theme"], row["program"]): row["seconds"] for row in map(json.loads, lines)}
    for theme in THEMES:
        if args.themes and theme.__name__ not in args.themes:
            continue
        print(f"\n{theme.__name__}")
        for program in theme():
            run(theme.__name__, *program)
            row = ROWS[-1]
            other = rust.get((row["theme"], row["program"]))
            ratio = f"{row['seconds'] / other:>8.1f} times" if other else ""
            print(f"  {row['program']:<48} {row['seconds'] * 1e3:>10.3f} ms {row['peak'] / 1e6:>7.1f} MB {ratio}")
    if args.json:
        with open(args.json, "w") as out:
            out.writelines(json.dumps(row) + "\n" for row in ROWS)


if __name__ == "__main__":
    main()
