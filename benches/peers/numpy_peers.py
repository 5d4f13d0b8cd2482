#!/usr/bin/env python3
"""Measures NumPy and related libraries on the cases of polyarray-bench, and writes the same JSON lines.

    python benches/peers/numpy_peers.py --quick --json peers.json
    cargo run --release -p polyarray-bench -- compare --quick --with peers.json
    python benches/peers/numpy_peers.py --ops small --json small.json
    cargo run --release -p polyarray-bench -- compare --ops small --with small.json
    cargo run --release -p polyarray-bench -- sweep --sample 5000 --threads 1 --list > cases.json
    python benches/peers/numpy_peers.py --sweep cases.json --threads 1 --json numpy.json
    cargo run --release -p polyarray-bench -- sweep --sample 5000 --threads 1 --with numpy.json
    python benches/peers/numpy_peers.py --programs --threads 2 --json programs.json
    cargo run --release -p polyarray-bench -- programs --with programs.json

Requires NumPy. numexpr, SciPy, scikit-learn, faiss and NumKong are measured if they can be imported. Every result is
compared with the same computation in float64 (long double for sums) before its time is written. Elementwise cases and
matrix products write into an existing output (`out=`). The group `small` is measured on one thread, as statements that
Python runs in a loop, so that the call of a Python function is not part of the time.

Run it on an otherwise idle machine, immediately before or after the comparison. The thread pools of BLAS and OpenMP
wait for each other: a single busy core can slow them down a hundredfold.
"""

import argparse
import importlib
import json
import math
import os
import platform
import sys
import time
import timeit

# The libraries read their number of threads from these variables, once, when they are imported.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
)

WHOLE, SIGNED, SPREAD = (-100.0, 100.0), (-1.0, 1.0), (-1e6, 1e6)
ELEMENTS = ([[1000], [100_000], [1_000_000]], [[1], [1000], [100_000], [1_000_000], [10_000_000]], lambda n: [n])
MATRIX = ([[100, 100], [1000, 1000]], [[100, 100], [1000, 1000], [5000, 5000]], lambda n: [n, n])
PRODUCT = ([[64] * 3, [256] * 3, [512] * 3], [[16] * 3, [64] * 3, [256] * 3, [1024] * 3, [2048] * 3], lambda n: [n] * 3)
PRODUCTS = ([[16, 64, 64, 64]], [[64, 32, 32, 32], [16, 64, 64, 64], [16, 256, 256, 256]], lambda n: [16, n, n, n])
CODES = ([[100, 1000, 4]], [[100, 1000, 4], [2000, 100_000, 4]], lambda n: [n, n, 4])
POINTS = (
    [[100, 100, 50], [400, 400, 50]],
    [[100, 100, 50], [500, 500, 50], [2000, 2000, 50], [5000, 5000, 50]],
    lambda n: [n, n, 50],
)

# name: ((sizes under --quick, other sizes, shape of one number), domains of the inputs, operations for each element or
# product, allowed ULPs, least value that errors are relative to, and the formula of elementwise cases).
# As in the registry, src/cases.rs.
MAPS = {
    "add": (ELEMENTS, [WHOLE, WHOLE], 1, 0, 0.0, "x + y"),
    "mul": (ELEMENTS, [WHOLE, WHOLE], 1, 0, 0.0, "x * y"),
    "sqrt": (ELEMENTS, [(0.0, 100.0)], 1, 1, 0.0, "sqrt(x)"),
    "exp": (ELEMENTS, [(-10.0, 10.0)], 1, 4, 0.0, "exp(x)"),
    "log": (ELEMENTS, [(1e-3, 100.0)], 1, 4, 1.0, "log(x)"),
    "sin": (ELEMENTS, [(-10.0, 10.0)], 1, 4, 1.0, "sin(x)"),
    "cos": (ELEMENTS, [(-10.0, 10.0)], 1, 4, 1.0, "cos(x)"),
    "tanh": (ELEMENTS, [(-4.0, 4.0)], 1, 4, 0.0, "tanh(x)"),
    "pow": (ELEMENTS, [(0.1, 10.0), (-3.0, 3.0)], 1, 4, 0.0, "x ** y"),
    "where": (ELEMENTS, [WHOLE, WHOLE], 1, 0, 0.0, "where(x > 2, x, y)"),
    "poly": (ELEMENTS, [(-2.0, 2.0)], 5, 16, 4.0, "2 * x ** 2 - 3 * x + 1"),
    "exp_plus_sin": (ELEMENTS, [(-10.0, 10.0)], 3, 12, 1.0, "exp(x) + sin(x)"),
    "square_affine": (ELEMENTS, [(-2.0, 2.0)], 3, 16, 1.0, "(2 * x + 1) ** 2"),
    "add_fresh": (ELEMENTS, [WHOLE, WHOLE], 1, 0, 0.0, "x + y"),
}
OTHERS = {
    "sum": (ELEMENTS, [WHOLE], 1, 96, 0.0),
    "sum_axis0": (MATRIX, [WHOLE], 1, 4096, 0.0),  # NumPy adds row by row
    "sum_axis1": (MATRIX, [WHOLE], 1, 96, 0.0),
    "min": (ELEMENTS, [WHOLE], 1, 0, 0.0),
    "argmax": (ELEMENTS, [WHOLE], 1, 0, 0.0),
    "std": (MATRIX, [WHOLE], 4, 384, 0.0),
    "cumsum": (ELEMENTS, [WHOLE], 1, 4096, 0.0),  # NumPy adds sequentially
    "transpose_copy": (MATRIX, [WHOLE], 0, 0, 0.0),
    "sort": (ELEMENTS, [SPREAD], 0, 0, 0.0),
    "argsort": (ELEMENTS, [SPREAD], 0, 0, 0.0),
    "median": (ELEMENTS, [SPREAD], 0, 1, 0.0),
    "matmul": (PRODUCT, [SIGNED, SIGNED], 2, 16, 0.0),
    "matmul_transposed": (PRODUCT, [SIGNED, SIGNED], 2, 16, 0.0),
    "matmul_bias_relu": (PRODUCT, [SIGNED, SIGNED, SIGNED], 2, 16, 0.0),
    "matmul_batched": (PRODUCTS, [SIGNED, SIGNED], 2, 16, 0.0),
    "matvec": (MATRIX, [SIGNED, SIGNED], 2, 16, 0.0),
    "cdist_euclidean": (POINTS, [SIGNED, SIGNED], 3, 16, 0.0),
    "cdist_cityblock": (POINTS, [SIGNED, SIGNED], 3, 16, 0.0),
    "cdist_cosine": (POINTS, [SIGNED, SIGNED], 2, 16, 0.0),
    "cdist_chebyshev": (POINTS, [SIGNED, SIGNED], 3, 16, 0.0),
    "cdist_canberra": (POINTS, [SIGNED, SIGNED], 6, 16, 0.0),
    "cdist_braycurtis": (POINTS, [SIGNED, SIGNED], 6, 16, 0.0),
    "cdist_correlation": (POINTS, [SIGNED, SIGNED], 2, 16, 0.0),
}
# Cases that are measured if they are selected by name.
NAMED = {
    "cdist_dot": (POINTS, [SIGNED, SIGNED], 2, 16, 0.0),
    "hamming10": (CODES, [WHOLE, WHOLE], 3, 0, 0.0),  # the 10 nearest codes of words of packed bits
}
# The dtypes of cases that have others than f32 and f64.
SUPPORTED = {"cdist_dot": ["f32", "f64", "i8"], "cdist_euclidean": ["f32", "f64", "i8"], "hamming10": ["u64"]}
CASES = {**MAPS, **OTHERS, **NAMED}

# The group of small work, as in the registry: shapes, domains of the inputs x and y, and the statement. A statement
# that contains `out` writes into it; the value of the others is the result.
SMALL = {
    "add": ([[1], [1000]], [WHOLE, WHOLE], "add(x, y, out)"),
    "exp": ([[1], [1000]], [(-10.0, 10.0)], "exp(x, out)"),
    "square_affine": ([[1], [1000]], [(-2.0, 2.0)], "multiply(x, 2, out); add(out, 1, out); multiply(out, out, out)"),
    "poly": (
        [[1], [1000]],
        [(-2.0, 2.0)],
        "multiply(x, x, out); multiply(out, 2, out); multiply(x, -3, other); add(out, other, out); add(out, 1, out)",
    ),
    # NumPy has no compiled functions: the same statements.
    "square_affine_compiled": (
        [[1], [1000]],
        [(-2.0, 2.0)],
        "multiply(x, 2, out); add(out, 1, out); multiply(out, out, out)",
    ),
    "poly_compiled": (
        [[1], [1000]],
        [(-2.0, 2.0)],
        "multiply(x, x, out); multiply(out, 2, out); multiply(x, -3, other); add(out, other, out); add(out, 1, out)",
    ),
    "sum": ([[1], [1000]], [WHOLE], "x.sum()"),
    "min": ([[1], [1000]], [WHOLE], "x.min()"),
    "mean": ([[1], [1000]], [WHOLE], "x.mean()"),
    "argmax": ([[1], [1000]], [WHOLE], "x.argmax()"),
    "any": ([[1], [1000]], [(0.0, 0.0)], "x.any()"),
    "cumsum": ([[16]], [WHOLE], "x.cumsum()"),
    "sort": ([[16]], [SPREAD], "sort(x)"),
    "argsort": ([[16]], [SPREAD], "argsort(x)"),
    "matmul": ([[4, 4, 4], [16, 16, 16]], [SIGNED, SIGNED], "matmul(x, y, out)"),
    "matvec": ([[16, 16]], [SIGNED, SIGNED], "matmul(x, y)"),
    "get": ([[1], [1000]], [WHOLE], "x[middle]"),
    "set": ([[1], [1000]], [WHOLE], "out[middle] = 7"),
    "slice": ([[1000]], [WHOLE], "x[1:]"),
    "t": ([[20, 50]], [WHOLE], "x.T"),
    "reshape": ([[1000]], [WHOLE], "x.reshape(1, length)"),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")
    size = lambda text: [[int(n) for n in s.split("x")] for s in text.split(",")]
    parser.add_argument("--quick", action="store_true", help="small sizes and short measurements")
    parser.add_argument("--ops", type=names, default=[*MAPS, *OTHERS], metavar="A,B", help="cases, by name")
    dtypes = "f32, f64; i8 and u64 of some cases of distances"
    parser.add_argument("--dtypes", type=names, default=["f32", "f64"], metavar="D,..", help=dtypes)
    parser.add_argument("--sizes", type=size, metavar="N,..", help="N, or a shape such as 512x256x128")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--threads", type=int, default=cores)
    programs = "measure the programs of `polyarray-bench programs` with NumPy alone"
    parser.add_argument("--programs", action="store_true", help=programs)
    sweep = "measure the cases of this file, which `polyarray-bench sweep --list` wrote, with NumPy alone"
    parser.add_argument("--sweep", metavar="FILE", help=sweep)
    parser.add_argument("--json", metavar="FILE", help="output file (default: standard output)")
    args = parser.parse_args()
    if "small" in args.ops:
        if args.ops != ["small"] or args.sizes:
            parser.error("the group small has sizes and one thread of its own: select it alone, without --sizes")
        args.threads = 1
    for op in args.ops:
        if op != "small" and op not in CASES:
            parser.error(f"unknown case {op!r}; the cases are {' '.join(CASES)}, and the group small")
    for dtype in args.dtypes:
        if dtype not in ("f32", "f64", "i8", "u64"):
            parser.error(f"{dtype!r} is not f32, f64, i8 or u64")
    if args.threads < 1:
        parser.error("--threads must be at least 1")
    if args.sweep:
        try:
            with open(args.sweep, encoding="utf-8") as cases:
                args.sweep = [json.loads(line) for line in cases]
        except (OSError, ValueError) as why:
            parser.error(f"--sweep {args.sweep}: {why}")
        if not args.sweep:
            parser.error("the file of --sweep has no cases")
    return args


ARGS = arguments()
for variable in THREAD_VARIABLES:
    os.environ[variable] = str(ARGS.threads)

try:
    import numpy as np
except ImportError:
    sys.exit(
        "numpy_peers.py needs NumPy: pip install numpy (and numexpr scipy scikit-learn faiss-cpu, to measure those)"
    )


def optional(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed, so it is not measured", file=sys.stderr)
        return None


numexpr, faiss, numkong = optional("numexpr"), optional("faiss"), optional("numkong")
cdist = getattr(optional("scipy.spatial.distance"), "cdist", None)
pairwise = optional("sklearn.metrics.pairwise")
if numexpr:
    numexpr.set_num_threads(ARGS.threads)
if faiss:
    faiss.omp_set_num_threads(ARGS.threads)

DTYPES = {"f32": np.float32, "f64": np.float64, "i8": np.int8, "u64": np.uint64}


def shapes(op):
    quick, full, of = CASES[op][0]
    if ARGS.sizes is None:
        return quick if ARGS.quick else full
    fitting = [of(s[0]) if len(s) == 1 else s for s in ARGS.sizes if len(s) in (1, len(full[0]))]
    if not fitting:
        sys.exit(f"none of the given --sizes fits {op}: give N or a shape with the right number of lengths")
    return fitting


def input_shapes(op, shape):
    if op.startswith("matmul"):
        *batch, m, k, n = shape
        if op == "matmul_transposed":
            return [[k, m], [n, k]]
        return [[*batch, m, k], [*batch, k, n], [n]][: len(CASES[op][1])]
    if op == "matvec":
        return [shape, shape[1:]]
    if op.startswith("cdist") or op == "hamming10":
        n, m, d = shape
        return [[n, d], [m, d]]
    return [shape] * len(CASES[op][1])


def numpy_map(op, x, y, out):
    """Computes the case as NumPy users write it. `out` holds the result, and one intermediate result where possible."""
    if op == "where":
        np.copyto(out, y)
        np.copyto(out, x, where=x > 2)
    elif op == "poly":
        np.multiply(x, -3, out=out)
        np.add(out, 2 * x**2, out=out)
        np.add(out, 1, out=out)
    elif op == "exp_plus_sin":
        np.exp(x, out=out)
        np.add(out, np.sin(x), out=out)
    elif op == "square_affine":
        np.multiply(x, 2, out=out)
        np.add(out, 1, out=out)
        np.multiply(out, out, out=out)
    else:
        two = {"add": np.add, "mul": np.multiply, "pow": np.power}.get(op)
        two(x, y, out=out) if two else getattr(np, op)(x, out=out)
    return out


def expanded_square(x, y):
    """Returns Euclidean distances, computed by NumPy as the root of |x|^2 + |y|^2 - 2 x.y."""
    squares = x @ y.T
    squares *= -2
    squares += np.einsum("ij,ij->i", x, x)[:, None]
    squares += np.einsum("ij,ij->i", y, y)[None, :]
    np.maximum(squares, 0, out=squares)
    return np.sqrt(squares, out=squares)


def cosine(x, y):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    return 1 - x @ y.T


def cityblock(x, y):
    """Returns Manhattan distances, computed row by row so that the differences stay in the cache."""
    out = np.empty((len(x), len(y)), x.dtype)
    for row, point in zip(out, x):
        np.abs(y - point).sum(axis=1, out=row)
    return out


def faiss_distances(metric):
    def run(x, y):
        if metric == "cosine":
            x, y = x.copy(), y.copy()
            faiss.normalize_L2(x)
            faiss.normalize_L2(y)
            return 1 - faiss.pairwise_distances(x, y, metric=faiss.METRIC_INNER_PRODUCT)
        if metric == "cityblock":
            return faiss.pairwise_distances(x, y, metric=faiss.METRIC_L1)
        squares = faiss.pairwise_distances(x, y)
        np.maximum(squares, 0, out=squares)
        return np.sqrt(squares, out=squares)

    return run


def packed(function, x, y):
    """Returns a function of NumKong on vectors of bytes, of which Y is packed in each call, into an existing output."""
    out = numkong.zeros((len(x), len(y)), dtype=function(x[:1], numkong.dots_pack(y[:1])).dtype)
    return lambda: function(x, numkong.dots_pack(y), out=out)


def contenders(op, dtype, inputs):
    """Yields (library, number of threads, function that returns the result) for each library that supports the case."""
    x, y = inputs[0], inputs[-1]
    every = ARGS.threads
    if op == "add_fresh":
        yield "numpy", 1, lambda: x + y
    elif op in MAPS:
        out = np.full_like(x, np.nan)
        yield "numpy", 1, lambda: numpy_map(op, x, y, out)
        if numexpr:
            formula, into = MAPS[op][5], np.full_like(x, np.nan)
            names = {"x": x, "y": y} if len(inputs) == 2 else {"x": x}
            yield "numexpr", every, lambda: numexpr.evaluate(formula, local_dict=names, out=into, casting="same_kind")
    elif op == "sum":
        yield "numpy", 1, x.sum
        if numexpr:
            yield "numexpr", every, lambda: numexpr.evaluate("sum(x)", local_dict={"x": x})
    elif op.startswith("sum_axis"):
        axis = int(op[-1])
        yield "numpy", 1, lambda: x.sum(axis=axis)
        if numexpr:
            yield "numexpr", every, lambda: numexpr.evaluate(f"sum(x, axis={axis})", local_dict={"x": x})
    elif op in ("min", "argmax", "std", "cumsum"):
        yield "numpy", 1, getattr(x, op)
    elif op == "transpose_copy":
        yield "numpy", 1, lambda: x.T.ravel()
    elif op in ("sort", "argsort", "median"):
        yield "numpy", 1, lambda: getattr(np, op)(x)
    elif op == "matmul_bias_relu":
        a, b, row = inputs
        out = a @ b

        def fused():
            np.matmul(a, b, out=out)
            np.add(out, row, out=out)
            return np.maximum(out, 0, out=out)

        yield "numpy", every, fused
    elif op in ("matmul", "matmul_transposed", "matmul_batched", "matvec"):
        if op == "matmul_transposed":
            x, y = x.T, y.T
        out = x @ y
        yield "numpy", every, lambda: np.matmul(x, y, out=out)
    elif op == "hamming10":
        if faiss:
            codes = faiss.IndexBinaryFlat(64 * x.shape[1])
            codes.add(y.view(np.uint8))
            queries = x.view(np.uint8)
            yield "faiss", every, lambda: codes.search(queries, 10)[0]
    elif dtype == "i8":
        if numkong:
            by_numkong = {"cdist_dot": numkong.dots_packed, "cdist_euclidean": numkong.euclideans_packed}[op]
            yield "numkong", 1, packed(by_numkong, x, y)
        if op == "cdist_dot":
            floats = x.astype(np.float32), y.astype(np.float32)
            yield "numpy", every, lambda: floats[0] @ floats[1].T
    elif op == "cdist_dot":
        yield "numpy", every, lambda: x @ y.T
    else:
        metric = op.removeprefix("cdist_")
        by_numpy = {"euclidean": expanded_square, "cityblock": cityblock, "cosine": cosine}.get(metric)
        if by_numpy:
            yield "numpy", 1 if metric == "cityblock" else every, lambda: by_numpy(x, y)
        if cdist and dtype == "f64":  # SciPy computes in float64 for every dtype
            yield "scipy", 1, lambda: cdist(x, y, metric)
        function = {
            "euclidean": "euclidean_distances",
            "cityblock": "manhattan_distances",
            "cosine": "cosine_distances",
        }.get(metric)
        if pairwise and function:
            yield "sklearn", every, lambda: getattr(pairwise, function)(x, y)
        if numkong and metric == "euclidean":
            yield "numkong", every, lambda: np.asarray(numkong.cdist(x, y, metric=metric, threads=every))
        if faiss and by_numpy and dtype == "f32":
            by_faiss = faiss_distances(metric)
            yield "faiss", every, lambda: by_faiss(x, y)


def expected(op, inputs, floor):
    """Returns the result in float64, and the values that errors are relative to (as in src/verify.rs)."""
    x, y = (a.astype(np.float64) for a in (inputs[0], inputs[-1]))
    if op in MAPS:
        functions = {name: getattr(np, name) for name in ("sqrt", "exp", "log", "sin", "cos", "tanh", "where")}
        want = eval(MAPS[op][5], {"__builtins__": {}}, {**functions, "x": x, "y": y})
        return want, np.maximum(np.abs(want), floor)
    if op.startswith("sum"):
        axis = int(op[-1]) if op != "sum" else None
        return x.astype(np.longdouble).sum(axis=axis).astype(np.float64), np.abs(x).sum(axis=axis)
    if op in ("min", "argmax"):
        return getattr(x, op)(), 1.0
    if op == "std":
        want = x.astype(np.longdouble).std().astype(np.float64)
        return want, want
    if op == "cumsum":
        return x.astype(np.longdouble).cumsum().astype(np.float64), np.abs(x).cumsum()
    if op == "transpose_copy":
        return x.T.ravel(), 1.0
    if op in ("sort", "argsort"):
        return np.sort(x), 1.0
    if op == "median":
        return np.median(x), np.abs(np.median(x))
    if op == "matvec":
        return x @ y, np.linalg.norm(x, axis=1) * np.linalg.norm(y)
    if op == "matmul_transposed":
        return x.T @ y.T, np.abs(x.T) @ np.abs(y.T)
    if op == "matmul_bias_relu":
        a, b = (m.astype(np.float64) for m in inputs[:2])
        return np.maximum(a @ b + y, 0), np.abs(a) @ np.abs(b) + np.abs(y)
    if op.startswith("matmul"):
        return x @ y, np.abs(x) @ np.abs(y)
    if op == "cdist_dot":
        return x @ y.T, np.abs(x) @ np.abs(y.T)
    if op == "hamming10":
        bits = [np.unpackbits(a.view(np.uint8), axis=1).astype(np.float32) for a in inputs]
        counts = [b.sum(axis=1) for b in bits]
        nearest = []
        for row, count in zip(bits[0], counts[0]):
            each = count + counts[1] - 2 * (bits[1] @ row)
            nearest.append(np.sort(np.partition(each, 9)[:10]))
        return np.array(nearest, dtype=np.float64), 1.0
    if op == "cdist_cosine":
        return cosine(x, y), 1.0
    if op == "cdist_cityblock":
        want = cityblock(x, y)
        return want, want
    if op in ("cdist_chebyshev", "cdist_canberra", "cdist_braycurtis", "cdist_correlation"):
        by_row = {
            "chebyshev": lambda point: np.abs(y - point).max(axis=1),
            "canberra": lambda point: (np.abs(y - point) / (np.abs(y) + np.abs(point))).sum(axis=1),
            "braycurtis": lambda point: np.abs(y - point).sum(axis=1) / np.abs(y + point).sum(axis=1),
            "correlation": lambda point: cosine((point - point.mean())[None], y - y.mean(axis=1, keepdims=True))[0],
        }[op.removeprefix("cdist_")]
        want = np.stack([by_row(point) for point in x])
        return want, 1.0 if op == "cdist_correlation" else want
    want = np.stack([np.sqrt(((y - point) ** 2).sum(axis=1)) for point in x])
    norms = np.linalg.norm(x, axis=1)[:, None], np.linalg.norm(y, axis=1)[None, :]
    with np.errstate(divide="ignore"):
        expanded = (norms[0] ** 2 + norms[1] ** 2) / want
    return want, np.maximum(want, np.minimum(expanded, norms[0] + norms[1]))


def tolerance(op, dtype, shape):
    """Returns twice the tolerance of the registry, because a float64 reference product has errors of its own."""
    if dtype in ("i8", "u64"):
        return 2 * np.finfo(np.float32).eps
    terms = shape[-2] if op.startswith("matmul") else shape[-1] if op == "matvec" or op.startswith("cdist") else 0
    return 2 * (CASES[op][3] + 2 * math.sqrt(terms)) * np.finfo(DTYPES[dtype]).eps


def error(got, want, scale):
    got = np.asarray(got, dtype=np.float64)
    if got.shape != np.shape(want):
        return math.inf
    difference = np.abs(got - want)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(difference == 0, 0.0, difference / scale)
    worst = float(np.max(relative))
    return math.inf if math.isnan(worst) else worst


def fastest(run, budget):
    """Returns the least seconds of as many runs as fit into the budget, after a warm-up run, and the last result."""
    run()
    best, batch, start = math.inf, 1, time.perf_counter()
    while True:
        before = time.perf_counter()
        for _ in range(batch):
            result = run()
        took = time.perf_counter() - before
        best = min(best, took / batch)
        if batch == 1 and took < 20e-6:
            batch = max(1, min(1000, int(20e-6 / max(took, 20e-9))))
        if time.perf_counter() - start >= budget:
            return best, result


def moved(op, dtype, inputs, result):
    read = sum(a.nbytes for a in inputs)
    return read + np.size(result) * (8 if op == "argsort" else np.asarray(result).dtype.itemsize)


def machine():
    modules = (("numpy", np), ("numexpr", numexpr), ("faiss", faiss), ("numkong", numkong))
    versions = {name: module.__version__ for name, module in modules if module}
    for name in ("scipy", "sklearn"):
        if name in sys.modules:
            versions[name] = sys.modules[name].__version__
    return {
        "cpu": platform.processor() or platform.machine(),
        "os": platform.system(),
        "python": platform.python_version(),
        "threads": ARGS.threads,
        "versions": versions,
    }


def rows(op, dtype, shape, failures):
    _, domains, per_element, _, floor = CASES[op][:5]
    random = np.random.default_rng(1)
    # Integers are drawn as in the registry: from a wider domain, and packed bits from all words.
    draw = {
        "i8": lambda lo, hi, s: random.uniform(lo * 100, hi * 100, s).round(),
        "u64": lambda lo, hi, s: random.integers(0, 2**64, s, dtype=np.uint64),
    }.get(dtype, random.uniform)
    inputs = [draw(lo, hi, s).astype(DTYPES[dtype]) for s, (lo, hi) in zip(input_shapes(op, shape), domains)]
    want, scale = expected(op, inputs, floor)
    if op in MAPS or op == "transpose_copy":
        # An exact function rounds its result once, to this dtype.
        want = want.astype(DTYPES[dtype]).astype(np.float64)
    for library, threads, run in contenders(op, dtype, inputs):
        what = f"{op} {dtype} {'x'.join(map(str, shape))} by {library}"
        try:
            seconds, result = fastest(run, 0.04 if ARGS.quick else 0.25)
        except Exception as e:
            failures.append(f"{what} failed: {e!r}")
            continue
        # NumPy does not specify the order of equal elements, so compare the elements that the indices select.
        judged = inputs[0][result] if op == "argsort" else result
        worst, allowed = error(judged, want, scale), tolerance(op, dtype, shape)
        if worst > allowed:
            failures.append(f"{what} disagrees with float64: error {worst:.3e}, allowed {allowed:.3e}")
            continue
        flops = per_element * math.prod(shape)
        yield {
            "op": op,
            "dtype": dtype,
            "shape": list(shape),
            "device": library,
            "threads": threads,
            "seconds": seconds,
            "gbps": moved(op, dtype, inputs, result) / seconds / 1e9,
            "gflops": flops / seconds / 1e9,
            "max_error": worst,
            "checked": True,
        }


def small_result(op, x, y):
    """Returns the result of a case of small work in float64, and the values that errors are relative to."""
    if op == "mean":
        return x.astype(np.float64).mean(), np.abs(x).mean()
    if op == "set":
        want = np.zeros(x.shape)
        want[x.size // 2] = 7
        return want, 1.0
    exact = {
        "any": lambda: False,
        "get": lambda: x[x.size // 2],
        "slice": lambda: x[1:],
        "t": lambda: x.T,
        "reshape": lambda: x[None, :],
    }
    if op in exact:
        return exact[op](), 1.0
    return expected(op, [x, y], CASES[op][4])


def small_rows(dtype, failures):
    """Measures the group of small work: the least time of a statement over batches of a tenth of a millisecond."""
    functions = {name: getattr(np, name) for name in ("add", "exp", "multiply", "sort", "argsort", "matmul")}
    for op, (sizes, domains, statement) in SMALL.items():
        for shape in sizes:
            random = np.random.default_rng(1)
            lens = input_shapes(op, shape) if op in ("matmul", "matvec") else [shape, shape]
            drawn = (random.uniform(*domain, s) for domain, s in zip([domains[0], domains[-1]], lens))
            x, y = (a.astype(DTYPES[dtype]) for a in drawn)
            given = "out" in statement
            out = np.zeros([shape[0], shape[2]] if op == "matmul" else shape, x.dtype)
            names = {"x": x, "y": y, "out": out, "other": np.empty_like(out), "middle": x.size // 2, "length": x.size}
            names.update(functions)
            timer = timeit.Timer(statement, globals=names)
            batch = max(1, int(1e-4 / max(timer.timeit(10) / 10, 1e-8)))
            best, start = math.inf, time.perf_counter()
            while time.perf_counter() - start < 0.25:
                best = min(best, timer.timeit(batch) / batch)
            result = out if given else eval(statement, names)
            # A compiled function has the results of the expression of its name.
            formula = op.removesuffix("_compiled")
            want, scale = small_result(formula, x, y)
            if formula in MAPS:
                # An exact function rounds its result once, to this dtype.
                want = want.astype(DTYPES[dtype]).astype(np.float64)
            judged = x[result] if op == "argsort" else result
            allowed = tolerance(formula, dtype, shape) if formula in CASES else 0.0
            if op == "mean":
                allowed = tolerance("sum", dtype, shape)
            worst = error(judged, want, scale)
            if not worst <= allowed:
                failures.append(f"{op} {dtype} {shape} by numpy: error {worst:.3e}, allowed {allowed:.3e}")
                continue
            moves = op not in ("get", "set", "slice", "t", "reshape")
            each = CASES[formula][2] if formula in CASES else 1 if op in ("mean", "any") else 0
            flops = each * math.prod(shape)
            yield {
                "op": op,
                "dtype": dtype,
                "shape": list(shape),
                "device": "numpy",
                "threads": 1,
                "seconds": best,
                "gbps": (x.nbytes * len(domains) + np.asarray(result).nbytes) / best / 1e9 if moves else 0.0,
                "gflops": flops / best / 1e9,
                "max_error": worst,
                "checked": True,
            }


def main():
    failures = []
    out = open(ARGS.json, "w", encoding="utf-8") if ARGS.json else sys.stdout
    with out:
        if ARGS.programs:
            import numpy_programs

            for row in numpy_programs.rows(ARGS.threads, 0.5):
                print(json.dumps(row), file=out, flush=True)
            return
        if ARGS.sweep:
            import numpy_sweep

            for row in numpy_sweep.rows(ARGS.sweep, ARGS.threads):
                print(json.dumps(row), file=out, flush=True)
            return
        print(json.dumps({"machine": machine()}), file=out, flush=True)
        for op in ARGS.ops:
            for dtype in ARGS.dtypes:
                if op == "small":
                    for row in small_rows(dtype, failures):
                        print(json.dumps(row), file=out, flush=True)
                    continue
                if dtype not in SUPPORTED.get(op, ["f32", "f64"]):
                    continue
                for shape in shapes(op):
                    for row in rows(op, dtype, shape, failures):
                        print(json.dumps(row), file=out, flush=True)
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
