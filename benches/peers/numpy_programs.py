"""NumPy's form of the programs of `polyarray-bench programs`, which numpy_peers.py --programs measures."""

import time

import numpy as np


def softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def kmeans_step(x, start):
    """Distances as sums of products, the fastest form in NumPy."""
    squares = (x * x).sum(axis=1)[:, None] - 2 * (x @ start.T) + (start * start).sum(axis=1)[None, :]
    nearest = squares.argmin(axis=1)
    chosen = (nearest == np.arange(len(start))[:, None]).astype(x.dtype)
    return (chosen @ x) / chosen.sum(axis=1, keepdims=True)


def programs():
    """Yields (name, function without arguments)."""
    random = np.random.default_rng(1)
    x = random.uniform(-4, 4, 100_000).astype(np.float32)
    yield "tanh", lambda: np.tanh(x)
    square = random.uniform(-1, 1, (5000, 5000))
    yield "transpose", lambda: np.ascontiguousarray(square.T)
    image = random.integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    means = np.array([0.485, 0.456, 0.406], np.float32)
    yield "rgb_image", lambda: image.astype(np.float32) / np.float32(255) - means
    scores = random.uniform(-5, 5, (100_000, 10)).astype(np.float32)
    yield "softmax", lambda: softmax(scores)
    columns = random.uniform(-5, 5, (100_000, 20))
    yield "standardize", lambda: (columns - columns.mean(axis=0)) / columns.std(axis=0)
    a, b = (random.integers(0, 256, (1000, 1000), dtype=np.uint8) for _ in range(2))
    # NumPy multiplies integers without BLAS; the product in f64 is exact here, and the fastest form.
    yield "wide_u8", lambda: (a.astype(np.float64) @ b.astype(np.float64)).astype(np.uint32)
    points = random.uniform(0, 16, (1797, 64))
    yield "kmeans_step", lambda: kmeans_step(points, points[:10])


def rows(threads, budget):
    """Yields a measurement of each program: the least time of as many runs as fit into `budget` seconds."""
    for name, run in programs():
        run()
        best, start = float("inf"), time.perf_counter()
        while time.perf_counter() - start < budget:
            before = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - before)
        yield {"program": name, "device": "numpy", "threads": threads, "seconds": best}
