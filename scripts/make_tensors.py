#!/usr/bin/env python3
"""Make the tensors that ship beside the sample from the archive that the sample's crystals come from, and from nothing else.

    pip download --no-deps --no-binary :all: --no-build-isolation matminer==0.4.0   # source distribution, 8.4 MB
    python scripts/make_tensors.py matminer-0.4.0.tar.gz

A tensor is kept in the axes of the sample's crystal. The elastic table has it twice, in those of its POSCAR (`elastic_tensor_original`), which are
the sample's, and in IEEE's; the first is taken. The dielectric tensors are in the axes of the dielectric table's POSCAR; where the sample has the
crystal from the elastic table, they are turned into the axes of that.
"""

import ast
import gzip
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import spglib
from make_sample import read_tables
from pymatgen.analysis.elasticity import ElasticTensor
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar

from atlas_nb.data.crystal import from_pymatgen
from atlas_nb.data.properties import TENSORS
from atlas_nb.data.sources import load_sample
from atlas_nb.data.tensors import asymmetry, point_group, turned

COLUMNS = {"elasticity": ("elastic_tensor", "elastic_tensor_original", 3), "dielectric_static": ("dielectric_constant", "e_total", 5),
           "dielectric_optical": ("dielectric_constant", "e_electronic", 5)}  # table, column, digits after the point  # fmt: skip
TARGET = Path(__file__).parent.parent / "atlas_nb" / "data" / "sample" / "tensors.json.gz"


def primitive(crystal):
    "The primitive cell, in the axes that the crystal has."
    lattice, frac, numbers = spglib.standardize_cell((crystal.lattice, crystal.frac, crystal.numbers), to_primitive=True, no_idealize=True, symprec=0.01)
    return Structure(lattice, numbers, frac)


def turn_between(there, here):
    "The rotation or mirror R, with rows of lattices as `there @ R = here`, that turns one crystal into the other; 1 where they are the same."
    if len(there) == len(here) and np.allclose(there.lattice, here.lattice, atol=1e-5):
        return np.eye(3)
    a, b = primitive(here), primitive(there)
    matched = StructureMatcher(primitive_cell=False, scale=False).get_s2_like_s1(a, b)
    u, stretch, v = np.linalg.svd(np.linalg.inv(matched.lattice.matrix) @ a.lattice.matrix)
    assert np.abs(stretch - 1).max() < 0.03, f"{here.id}: stretched by {stretch}"
    return u @ v


def make_tensors(sdist):
    "name -> id -> the tensor's components and how far it is from having the symmetry of its crystal."
    crystals = {c.id: c for c in load_sample()[0]}
    groups, tables = {}, read_tables(sdist)
    for name, (table, column, digits) in COLUMNS.items():
        rows, skew, moved = {}, [], 0
        for row in tables[table].itertuples():
            id, matrix = row.material_id, np.array(ast.literal_eval(getattr(row, column)))
            turn = turn_between(from_pymatgen(Poscar.from_str(row.poscar).structure, id), crystals[id])
            moved += not np.array_equal(turn, np.eye(3))
            skew.append(np.abs(matrix - matrix.T).max() / np.abs(matrix).max())
            matrix = turned((matrix + matrix.T) / 2, turn.T)
            components = [round(float(matrix[i, j]), digits) + 0.0 for i, j in TENSORS[name].places]
            if id not in groups:
                groups[id] = point_group(crystals[id])
            rows[id] = {"components": components, "asymmetry": round(float(asymmetry(matrix, groups[id])), 5)}
        far = [r["asymmetry"] for r in rows.values()]
        print(f"{name}: {len(rows):,} tensors, {sum(id in crystals for id in rows):,} of crystals of the sample, {moved} turned")
        print(f"    rows and columns differ by up to {max(skew):.2%}, by more than 1 % in {sum(s > 0.01 for s in skew)}")
        print(f"    asymmetry above 0.05 in {sum(f > 0.05 for f in far)}, above 0.01 in {sum(f > 0.01 for f in far)}")
        yield name, rows


def tell_axes(table):
    "Say how the two tensors that the elastic table has of each crystal belong together."
    differ, ieee = 0, 0
    for row in table.itertuples():
        theirs, own = (np.array(ast.literal_eval(tensor)) for tensor in (row.elastic_tensor, row.elastic_tensor_original))
        if np.linalg.norm(theirs - own) > 1e-3 * np.linalg.norm(own):
            differ += 1
            made = ElasticTensor.from_voigt(own).convert_to_ieee(Poscar.from_str(row.poscar).structure, initial_fit=False).voigt
            ieee += np.linalg.norm(made - theirs) < 0.02 * np.linalg.norm(own)
    print(f"elastic table: of {len(table):,} crystals {differ} have another tensor in IEEE's axes;", end=" ")
    print(f"{ieee} of these are made of the tensor in the POSCAR's axes by pymatgen's rule")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="pymatgen|spglib")
    tell_axes(read_tables(sys.argv[1])["elastic_tensor"])
    data = {"source": "sample", "tensors": dict(make_tensors(sys.argv[1]))}
    TARGET.write_bytes(gzip.compress(json.dumps(data, separators=(",", ":")).encode(), mtime=0))
    print(f"{TARGET.stat().st_size:,} bytes")
