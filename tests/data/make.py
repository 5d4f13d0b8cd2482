"""Writes the .npy and .npz files of this folder with NumPy (these were written by 2.4): python make.py.

Each holds what tests/suite/npy.rs and npz.rs expect of it.
"""

import pathlib

import numpy as np
import scipy.sparse

here = pathlib.Path(__file__).parent


def save(name, array):
    np.save(here / f"{name}.npy", array, allow_pickle=True)


# 2 x 3, every dtype: the numbers -3 .. 2 (cast; unsigned ones wrap), as little-endian bytes.
numbers = np.arange(-3, 3).reshape(2, 3)
for name in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split():
    save(name, numbers.astype(name))
for name in ["complex64", "complex128"]:
    save(name, (numbers + 0.5j).astype(name))

save("fortran", np.asfortranarray(numbers.astype("<f4")))
for descr in [">i2", ">f4", ">f8", ">c8"]:
    save("big_endian_" + descr[1:], (numbers + (0.5j if "c" in descr else 0)).astype(descr))
save("no_axes", np.float64(2.5))
save("no_elements", np.zeros((3, 0, 2), "f4"))

# What cannot be read.
save("objects", np.array([None, "a", 1], dtype=object))
save("strings", np.array(["ab", "c"]))
save("records", np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4")]))
save("dates", np.array(["2024-02-29"], dtype="datetime64[D]"))
save("long_double", np.zeros(2, np.longdouble))

# The other versions of the format.
for version in [(2, 0), (3, 0)]:
    with open(here / f"version_{version[0]}.npy", "wb") as file:
        np.lib.format.write_array(file, numbers.astype("<f4"), version=version)

# Archives, stored and compressed.
arrays = {"numbers": numbers.astype("<f4"), "columns": np.asfortranarray(numbers.astype("<i8")), "0-d": np.float64(2.5)}
np.savez(here / "stored.npz", **arrays)
np.savez_compressed(here / "compressed.npz", **arrays, zeros=np.zeros((100, 100), "u1"))

# Sparse matrices of SciPy (these were written by 1.17): 3 x 5, with a row without numbers.
rows, columns = [2, 0, 0, 2], [4, 3, 1, 0]
matrix = scipy.sparse.coo_matrix((np.array([2.5, -1, 3, 0.5], "f4"), (rows, columns)), shape=(3, 5))
for name, compressed in [("sparse_csr", True), ("sparse_csr_stored", False)]:
    scipy.sparse.save_npz(here / f"{name}.npz", matrix.tocsr(), compressed=compressed)
scipy.sparse.save_npz(here / "sparse_csc.npz", matrix.tocsc())
