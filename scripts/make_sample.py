#!/usr/bin/env python3
"""Make the sample that ships with atlas_nb from two public archives, and from nothing else.

    pip download --no-deps --no-binary :all: --no-build-isolation matminer==0.4.0   # source distribution, 8.4 MB
    pip download --no-deps jarvis-leaderboard==2024.10.30                           # wheel, 72 MB
    python scripts/make_sample.py matminer-0.4.0.tar.gz jarvis_leaderboard-2024.10.30-*.whl

Crystals: four tables of matminer 0.4.0 (flla_2015, elastic_tensor, dielectric_constant, piezoelectric_tensor), all Materials Project,
PBE with +U where that project uses it. Labels: the same tables, and the formation energies and gaps of the MEGNet benchmark
(MP-2018.6.1) in jarvis-leaderboard. Records take JARVIS form on the way, so that they pass through the package's own reader.
"""

import ast
import io
import json
import re
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import pandas as pd
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atlas_nb.data.properties import as_number
from atlas_nb.data.sources import from_records, pack

TABLES = ("elastic_tensor", "dielectric_constant", "piezoelectric_tensor", "flla_2015")  # the first that has a crystal gives its structure
TARGET = Path(__file__).parent.parent / "atlas_nb" / "data" / "sample" / "mp_6k.npz"


def read_tables(sdist):
    "matminer's tables by name."
    tables = {}
    with tarfile.open(sdist) as tar:
        for member in tar.getmembers():
            name = Path(member.name).stem
            if member.name.endswith(f"matminer/datasets/{name}.csv") and name in TABLES:
                tables[name] = pd.read_csv(io.BytesIO(tar.extractfile(member).read()), comment="#")
    return tables


def read_benchmark(wheel, name):
    "id -> (value, part) of one benchmark of jarvis-leaderboard."
    with zipfile.ZipFile(wheel) as outer:
        inner = io.BytesIO(outer.read(f"jarvis_leaderboard/benchmarks/AI/SinglePropertyPrediction/{name}.json.zip"))
    with zipfile.ZipFile(inner) as file:
        parts = json.loads(file.read(file.namelist()[0]))
    return {id: (float(value), part) for part in ("train", "val", "test") for id, value in parts[part].items()}


def read_structures(tables):
    "id -> structure, and id -> names of the tables that have it."
    structures, origin = {}, {}
    for name in TABLES:
        for row in tables[name].itertuples():
            origin.setdefault(row.material_id, []).append(name)
            if row.material_id not in structures:
                own = name == "flla_2015"
                structures[row.material_id] = Structure.from_dict(ast.literal_eval(row.structure)) if own else Poscar.from_str(row.poscar).structure
    return structures, origin


def atoms(structure):
    "The structure as the atoms of a JARVIS record, rounded as the sources are."
    return {
        "lattice_mat": [[round(float(x), 7) + 0.0 for x in row] for row in structure.lattice.matrix],
        "coords": [[round(float(x) % 1.0, 7) % 1.0 for x in row] for row in structure.frac_coords],
        "elements": [specie.symbol for specie in structure.species],
        "cartesian": False,
    }


def make_records(sdist, wheel):
    "JARVIS records of all crystals, in the order of their Materials Project numbers."
    tables = read_tables(sdist)
    structures, origin = read_structures(tables)
    energies, gaps = read_benchmark(wheel, "megnet_e_form"), read_benchmark(wheel, "megnet_gappbe")
    by_id = {name: table.drop_duplicates("material_id").set_index("material_id") for name, table in tables.items()}

    def value(id, table, column, digits=6):
        return round(as_number(by_id[table].at[id, column]), digits) if id in by_id[table].index else "na"

    for id in sorted(structures, key=lambda id: int(re.sub(r"\D", "", id))):
        structure = structures[id].remove_oxidation_states()
        symmetry = SpacegroupAnalyzer(structure, symprec=0.01)
        energy_2015 = value(id, "flla_2015", "formation_energy_per_atom")
        yield {
            "jid": id,
            "formula": structure.composition.reduced_formula,
            "spg_number": symmetry.get_space_group_number(),
            "crys": symmetry.get_crystal_system(),
            "source": "+".join(origin[id]),
            "megnet_split": energies[id][1] if id in energies else "na",
            "formation_energy_peratom": round(energies[id][0], 6) if id in energies else energy_2015,
            "formation_energy_peratom_mp2015": energy_2015,
            "ehull": value(id, "flla_2015", "e_above_hull"),
            "gap_pbe": round(gaps[id][0], 6) if id in gaps else value(id, "dielectric_constant", "band_gap"),
            "bulk_modulus_kv": value(id, "elastic_tensor", "K_Voigt"),
            "shear_modulus_gv": value(id, "elastic_tensor", "G_Voigt"),
            "bulk_modulus_vrh": value(id, "elastic_tensor", "K_VRH"),
            "shear_modulus_vrh": value(id, "elastic_tensor", "G_VRH"),
            "poisson": value(id, "elastic_tensor", "poisson_ratio"),
            "elastic_anisotropy": value(id, "elastic_tensor", "elastic_anisotropy"),
            "refractive_index": value(id, "dielectric_constant", "n"),
            "eps_electronic": value(id, "dielectric_constant", "poly_electronic"),
            "eps_total": value(id, "dielectric_constant", "poly_total"),
            "piezo_max_eij": value(id, "piezoelectric_tensor", "eij_max"),
            "atoms": atoms(structure),
        }


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="pymatgen|spglib")
    crystals, labels = from_records(make_records(*sys.argv[1:3]), source="sample")
    TARGET.parent.mkdir(exist_ok=True)
    pack(TARGET, crystals, labels)
    print(f"{len(crystals):,} crystals, {TARGET.stat().st_size:,} bytes")
