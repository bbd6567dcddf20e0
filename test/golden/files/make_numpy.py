"""Writes the .npy and .npz files of this folder.

Usage: python test/golden/files/make_numpy.py (needs numpy)
"""

from pathlib import Path

import numpy as np

folder = Path(__file__).parent
grid = np.arange(24).reshape(2, 3, 4)
arrays = {
    "c": grid.astype("<f4") / 3,
    "fortran": np.asfortranarray(grid.astype("<i8")),
    "big_f8": grid.astype(">f8") / 3,
    "big_i2": np.asfortranarray(grid.astype(">i2")),
    "half": np.array([0.1, -np.inf, np.nan], "<f2"),
    "bool": np.array([[True, False]]),
    "scalar": np.array(7, "<i4"),
    "empty": np.zeros((0, 3), "u1"),
    "int8": np.array([-128, 127], "i1"),
}
np.savez(folder / "arrays.npz", **arrays)
np.savez_compressed(folder / "compressed.npz", **arrays)
np.save(folder / "fortran.npy", arrays["fortran"])
np.save(folder / "object.npy", np.array([{}, None], dtype=object), allow_pickle=True)
np.save(folder / "record.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
np.save(folder / "unsigned.npy", np.zeros(2, "<u4"))
for version in (2, 3):
    with open(folder / f"version{version}.npy", "wb") as file:
        np.lib.format.write_array(file, arrays["c"], version=(version, 0))
