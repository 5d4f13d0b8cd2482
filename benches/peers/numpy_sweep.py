"""Times NumPy on the cases that `polyarray-bench sweep --list` wrote. numpy_peers.py --sweep runs it.

The name of a layout is the shape of an array in C order and a view of it: `1000x1000.T`, `100x100x100.p201` (the axes
2, 0, 1), `1000x1001[:,:-1]`. The name of an operation ends with its second operand (`_row`: of the last axis; `_col`,
`_mid`: of the first, of the second axis, with the others of length 1; `_value`) or with its axis (`_first`, `_middle`,
`_last`). Cases that NumPy does not have are left out, and counted on the stream of errors.
"""

import re
import sys
import time
import warnings

import numpy as np

try:
    from scipy import special
except ImportError:
    special = None

DTYPES = {
    "bool": np.bool_, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8,
    "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "f16": np.float16, "f32": np.float32, "f64": np.float64,
    "c32": np.complex64, "c64": np.complex128,
}  # fmt: skip

# Names that differ from NumPy's. Division of integers truncates in polyarray; NumPy has only the one that rounds down.
RENAMED = {
    "neg": "negative", "abs": "absolute", "round": "rint", "is_nan": "isnan", "is_inf": "isinf",
    "is_finite": "isfinite", "not": "invert", "sub": "subtract", "mul": "multiply", "div": "divide",
    "floor_div": "floor_divide", "rem": "fmod", "pow": "power", "bitand": "bitwise_and", "bitor": "bitwise_or",
    "bitxor": "bitwise_xor", "shl": "left_shift", "shr": "right_shift",
}  # fmt: skip
# Composed ufuncs, as NumPy users write them.
COMPOSED = {
    "remainder": np.remainder, "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2, "heaviside": np.heaviside,
    "softplus": lambda x, y: np.logaddexp(x, 0), "log_sigmoid": lambda x, y: -np.logaddexp(-x, 0),
    "sinc": lambda x, y: np.sinc(x), "deg2rad": lambda x, y: np.deg2rad(x), "rad2deg": lambda x, y: np.rad2deg(x),
}  # fmt: skip
REDUCTIONS = ("sum", "prod", "min", "max", "mean", "var", "std", "any", "all", "argmin", "argmax")
AXES = {"first": 0, "middle": 1, "last": -1}
OTHERS = ("value", "row", "col", "mid")


def pool(dtype, length, least=0.1, seed=1):
    """The same ranges as in src/sweep/cases.rs."""
    u = np.random.default_rng(seed).random(length)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return u < 0.5
    if kind in "iu":
        return (1 + u * (120 if np.dtype(dtype).itemsize == 1 else 30_000)).astype(dtype)
    return (least + 0.8 * u + (1j * (0.9 - 0.8 * u) if kind == "c" else 0)).astype(dtype)


def laid_out(pool, name):
    """Returns a view of the first elements of `pool` with the layout of this name."""
    shape, view = re.fullmatch(r"([0-9x]+)(.*)", name).groups()
    shape = [int(n) for n in shape.split("x")]
    base = pool[: int(np.prod(shape))].reshape(shape)
    if view == "":
        return base
    if view == ".T":
        return base.T
    if view.startswith(".p"):
        return base.transpose([int(axis) for axis in view[2:]])
    parts = [[int(i) if i else None for i in part.split(":")] for part in view[1:-1].split(",")]
    return base[tuple(slice(*part) for part in parts)]


def base_length(name):
    return int(np.prod([int(n) for n in re.match(r"[0-9x]+", name).group().split("x")]))


def moved(name, axis, x, other, three):
    """Returns an operation that moves elements, with the same indices and masks for each run, or None."""
    random = np.random.default_rng(5)
    axis = 0 if axis is None else axis
    n = x.shape[axis]
    at, kept, mask = random.integers(0, n, n), random.random(n) < 0.5, random.random(x.shape) < 0.5

    def assign_where():
        copy = x.copy()
        copy[mask] = three
        return copy

    def scatter_add():
        copy = x.copy()
        np.add.at(np.moveaxis(copy, axis, 0), at, np.moveaxis(other, axis, 0))
        return copy

    return {
        "take": lambda: np.take(x, at, axis=axis),
        "compress": lambda: np.compress(kept, x, axis=axis),
        "mask": lambda: x[mask],
        "assign_where": assign_where,
        "scatter_add": scatter_add,
        "concatenate": lambda: np.concatenate([x, other], axis=axis),
        "pad": lambda: np.pad(x, 1, constant_values=three),
        "roll": lambda: np.roll(x, 1, axis=axis),
        "flip": lambda: np.flip(x, axis).copy(order="C"),
        "repeat": lambda: np.repeat(x, 2, axis=axis),
    }.get(name)


def drawn(name, dtype, n):
    """Returns an operation that draws random numbers, or None if NumPy does not have it for the dtype."""
    random, dtype = np.random.default_rng(1), np.dtype(dtype)
    if name in ("uniform", "normal", "exponential", "gamma"):
        if dtype not in (np.float32, np.float64):
            return None
        method = {"uniform": "random", "normal": "standard_normal", "exponential": "standard_exponential"}.get(name)
        if name == "gamma":
            return lambda: random.standard_gamma(2.0, n, dtype=dtype)
        return lambda: getattr(random, method)(n, dtype=dtype)
    return {
        "integers": lambda: random.integers(0, 100, n, dtype=dtype),
        "poisson": lambda: random.poisson(10.0, n),
        "binomial": lambda: random.binomial(100, 0.3, n),
        "permutation": lambda: random.permutation(n),
    }[name]


def function(op, x, other, three):
    """Returns the case as a function without arguments, or None if NumPy does not have it."""
    if op.startswith("random_"):
        return drawn(op.removeprefix("random_"), x.dtype, x.size)
    name, _, suffix = op.rpartition("_")
    if suffix in AXES:
        axis = AXES[suffix]
    elif suffix in OTHERS:
        axis = None
    else:
        name, axis = op, None
    y = {
        "value": lambda: three,
        "row": lambda: other[(0,) * (other.ndim - 1)],
        "col": lambda: other[(slice(None),) + (slice(0, 1),) * (other.ndim - 1)],
        "mid": lambda: other[(slice(0, 1), slice(None)) + (slice(0, 1),) * (other.ndim - 2)],
    }.get(suffix, lambda: other)()
    if (move := moved(name, axis, x, other, three)) is not None:
        return move
    if name == "copy":
        return lambda: x.copy(order="C")
    if name.startswith("cast_"):
        to = DTYPES.get(name[5:])
        return to and (lambda: x.astype(to))
    if name == "where":
        return lambda: np.where(x != three, x, y)
    if name in REDUCTIONS:
        method = getattr(x, name)
        return lambda: method(axis=axis)
    if name == "norm":
        return lambda: np.linalg.norm(x, axis=axis)
    if name in ("count_nonzero", "median"):
        method = getattr(np, name)
        return lambda: method(x, axis=axis)
    if name in ("cumsum", "cumprod"):
        method = getattr(x, name)
        return lambda: method(axis=axis)
    if name in COMPOSED:
        composed = COMPOSED[name]
        return lambda: composed(x, y)
    if name == "sort":
        return lambda: np.sort(x, axis=axis)
    if name == "argsort":
        return lambda: np.argsort(x, axis=axis, kind="stable")  # as in polyarray
    if name in ("erf", "sigmoid") and x.dtype == np.float16:
        return None  # SciPy gives float64
    if name in ("erf", "sigmoid"):
        ufunc = special and {"erf": special.erf, "sigmoid": special.expit}[name]
    elif name == "div" and x.dtype.kind in "iu":
        ufunc = np.floor_divide
    else:
        ufunc = getattr(np, RENAMED.get(name, name), None)
    if ufunc is None:
        return None
    return (lambda: ufunc(x)) if ufunc.nin == 1 else (lambda: ufunc(x, y))


def fastest(run, budget):
    """The least seconds of a run, in batches of at least 20 us, as in src/measure.rs."""
    clock = time.perf_counter
    start = clock()
    run()
    once = clock() - start
    again = clock()
    run()
    batch = max(1, min(1000, int(20e-6 / max(min(once, clock() - again), 1e-7))))
    best, start = float("inf"), clock()
    while True:
        before = clock()
        for _ in range(batch):
            run()
        best = min(best, (clock() - before) / batch)
        if clock() - start >= budget:
            return best


def rows(cases, threads):
    """Yields the measurement of each case that NumPy has."""
    longest = max(max(base_length(case["layout"]), case["size"]) for case in cases)
    dtype, measured = None, 0
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    for case in cases:
        if case["dtype"] not in DTYPES:
            continue
        if case["dtype"] != dtype:
            dtype = case["dtype"]
            of = DTYPES[dtype]
            low, other, high = pool(of, longest), pool(of, longest, seed=2), pool(of, longest, least=1.1, seed=3)
        x = laid_out(high if case["op"] == "arccosh" else low, case["layout"])
        run = function(case["op"], x, laid_out(other, case["layout"]), np.dtype(of).type(3))
        if run is None:
            continue
        try:
            run()
        except TypeError:
            continue  # the ufunc is not defined for the dtype
        # Several times, as the sweep measures again what seems slow.
        seconds = min(fastest(run, 150e-6 + 3e-9 * case["size"]) for _ in range(3))
        measured += 1
        yield {**case, "device": "numpy", "threads": threads, "seconds": seconds}
    if measured < len(cases):
        print(f"{len(cases) - measured} of {len(cases)} cases are not in NumPy", file=sys.stderr)
