#!/usr/bin/env python3
"""Train what the pages on ablations and on records show, and write what came of it beside them.

    python scripts/records.py --list                 what there is to train, and what is done
    python scripts/records.py table curves           train what is missing of these groups
    python scripts/records.py ablations --jobs 2     two at a time
    python scripts/records.py table --accelerator cuda --jobs 4     on a GPU, which four share

A training is a line of a recipe, and its result a file in nbs/benchmarks/records: the recipe, the errors, what it cost. One that is there is
not trained again unless its recipe changed. The labels of the test part are withheld while a model learns and is chosen; those of the group
"ablations", by which recipes are chosen, are never asked for at all.
"""

import argparse
import json
import re
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import process_time

import joblib
import numpy as np
import torch

from atlas_nb import __version__
from atlas_nb.baselines import BASELINES, baseline_predictions, fit_baseline
from atlas_nb.data.sources import load_sample
from atlas_nb.files import cache_folder, whole_file
from atlas_nb.graphs.builder import CrystalGraphBuilder
from atlas_nb.graphs.dataset import CrystalPropertyDataset
from atlas_nb.models.distilled import taught_by
from atlas_nb.models.registry import MODELS, load_model, transfer
from atlas_nb.profiling import machine_line
from atlas_nb.trainer import Trainer

RESULTS = Path(__file__).resolve().parent.parent / "nbs" / "benchmarks" / "records"
SEEDS = (0, 1, 2)  # of a training; the split is always that of seed 0
SIZES = (500, 1000, 2000)  # training crystals of a learning curve, whose end is in the table


@dataclass(frozen=True)
class Recipe:
    "One training."

    group: str
    name: str  # within the group
    properties: tuple  # learned at once
    model: str  # of the registry, or a baseline
    hparams: dict = field(default_factory=dict)
    builder: dict = field(default_factory=dict)  # what is not the model's own
    trainer: dict = field(default_factory=dict)
    batch_size: int = 64
    noise: float = 0.0  # angstrom, standard deviation of what each coordinate of a training crystal is moved by
    start: "Recipe | None" = None  # whose trunk it begins with
    teachers: tuple = ()  # recipes of those from whose answers it learns, and from no label; they are asked of all training crystals, labelled or not
    copies: int = 0  # of each training crystal, with other elements, of which they are asked as well
    size: "int | None" = None  # training crystals, the first of a random order; None: all
    seed: int = 0

    @property
    def file(self) -> Path:
        parts = [self.group, self.name, *self.properties, *([self.size] if self.size else []), self.seed]
        return RESULTS / f"{re.sub('[^a-z0-9]+', '_', ' '.join(map(str, parts)).lower())}.json"

    @property
    def weights(self) -> Path:  # kept for whoever begins with them, and not with the results
        return cache_folder() / "records" / self.file.stem

    def plain(self) -> dict:  # what earlier results do not know is there only where it says something
        return json.loads(json.dumps(asdict(self)), object_hook=lambda part: {key: value for key, value in part.items() if value or key not in ("teachers", "copies")})

    def result(self) -> "dict | None":  # None: not there, or of another recipe
        if not self.file.exists():
            return None
        found = json.loads(self.file.read_text(encoding="utf-8"))
        return found if found["recipe"] == self.plain() else None


def dataset(recipe: Recipe, builder) -> CrystalPropertyDataset:
    "The sample by the split of seed 0, with as many labelled training crystals as the recipe has."
    crystals, labels = load_sample()
    ds = CrystalPropertyDataset(crystals, labels, list(recipe.properties), builder).prepare()
    if recipe.size:
        train, ds.y = ds.indices("train"), ds.y.copy()
        ds.y[np.random.default_rng(recipe.seed).permutation(train)[recipe.size :]] = np.nan
    return ds


def move_atoms(model, noise: float):
    "In training, each atom is somewhere else each time."

    def move(module, inputs):
        batch = inputs[0]
        if module.training:
            inverse = torch.linalg.inv(batch.cell).index_select(0, batch.graph_of_node)
            batch.frac = batch.frac + torch.einsum("ni,nij->nj", noise * torch.randn_like(batch.frac), inverse)

    model.register_forward_pre_hook(move)


def trained(recipe: Recipe, accelerator: str):
    "The model of a training, which takes place where there is none of it."
    if recipe.result() is None or not recipe.weights.exists():
        train(recipe, accelerator)
    return load_model(recipe.weights)


def make_model(recipe: Recipe, accelerator: str = "cpu"):
    if recipe.start is not None:
        return transfer(trained(recipe.start, accelerator), list(recipe.properties))
    model = MODELS[recipe.model](list(recipe.properties), seed=recipe.seed, **recipe.hparams)
    builder = CrystalGraphBuilder(**{**model.builder.config(), **recipe.builder})
    return MODELS[recipe.model](list(recipe.properties), builder, seed=recipe.seed, **recipe.hparams)


def learn(recipe: Recipe, accelerator: str):
    "The data set with all labels, a function that predicts a part of one, and what there is to say of the training."
    if recipe.model in BASELINES:
        ds = dataset(recipe, CrystalGraphBuilder())
        start = process_time()
        baseline = fit_baseline(recipe.model, ds.withheld("test"), recipe.seed)
        return ds, lambda ds, part: baseline_predictions(baseline, ds, part), {"cpu_s": round(process_time() - start, 1)}
    model = make_model(recipe, accelerator)
    ds = dataset(recipe, model.builder)
    blind = ds.withheld("test")
    if recipe.noise:
        move_atoms(model, recipe.noise)
    trainer = Trainer(model, accelerator=accelerator, progress=False, **recipe.trainer)
    teachers = [trained(teacher, accelerator) for teacher in recipe.teachers]
    start = process_time()
    learned = taught_by(teachers, model, blind, recipe.copies, recipe.seed) if teachers else blind
    history = trainer.fit(learned.loader("train", batch_size=recipe.batch_size, seed=recipe.seed), learned.loader("val"))
    said = {"cpu_s": round(process_time() - start, 1), "accelerator": accelerator, "parameters": sum(p.numel() for p in model.parameters())}
    said |= {"teachers_cpu_s": round(sum(teacher.result()["cpu_s"] for teacher in recipe.teachers), 1)} if teachers else {}
    said["best_epoch"] = int(history.val_loss.idxmin()) + 1
    model.save(recipe.weights)
    return ds, lambda ds, part: trainer.predict(ds.loader(part)), said


def train(recipe: Recipe, accelerator: str = "cpu") -> Recipe:
    "Train, judge, write; the recipe itself. Test crystals are asked for after all is settled, and not at all where something is to be chosen."
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", RuntimeWarning)
    ds, predicted, said = learn(recipe, accelerator)
    parts = ("val",) if recipe.group == "ablations" else ("val", "test")
    found = {"recipe": recipe.plain(), **said, "train": int(len(ds.indices("train"))), "atlas_nb": __version__, "machine": machine_line()}
    for part in parts:
        table = predicted(ds, part)
        found[part] = {p.name: float((table[p.name] - table[f"{p.name}_predicted"]).abs().mean()) for p in ds.properties}
        if recipe.group == "table":
            found[f"{part}_predicted"] = {p.name: [float(f"{x:.5g}") for x in table[f"{p.name}_predicted"]] for p in ds.properties}
    RESULTS.mkdir(exist_ok=True)
    text = re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers.group().split()), json.dumps(found, indent=1))  # a list is one line
    with whole_file(recipe.file) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return recipe


def with_(recipe: Recipe, name: str, **changes) -> Recipe:
    "The same with a change; what is a dictionary is added to."
    merged = {key: {**getattr(recipe, key), **value} if isinstance(value, dict) else value for key, value in changes.items()}
    return replace(recipe, name=name, **merged)


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    "The same with another seed, and so whatever it rests on."
    before = {"start": recipe.start and with_seed(recipe.start, seed), "teachers": tuple(with_seed(teacher, seed) for teacher in recipe.teachers)}
    return replace(recipe, seed=seed, **before)


ENERGY = Recipe("ablations", "as it is", ("formation_energy",), "cgcnn", builder={"asymmetric_unit": True}, trainer={"max_epochs": 30})
GAP = replace(ENERGY, properties=("band_gap",))
MODULI = with_(replace(ENERGY, properties=("bulk_modulus", "shear_modulus")), "as it is", trainer={"max_epochs": 80})


def ablations() -> "list[Recipe]":
    "One change at a time."
    changes = {
        "as it is": {},
        "embedding and table of the elements": {"hparams": {"atom_features": "embedding+pymatgen"}},
        "table of the elements alone": {"hparams": {"atom_features": "pymatgen"}},
        "references of the elements": {"hparams": {"atom_ref": True}},
        "24 neighbours": {"builder": {"max_neighbors": 24}},
        "weight decay 0.1": {"trainer": {"weight_decay": 0.1}},
        "exponential average of weights": {"trainer": {"ema": 0.99}},
        "equal average of weights": {"trainer": {"swa": 0.8}},
        "Huber": {"trainer": {"loss": "huber"}},
        "cosine": {"trainer": {"scheduler": "cosine"}},
        "Laplace likelihood": {"hparams": {"spread": True}, "trainer": {"loss": "laplace"}},
        "Laplace likelihood times spread": {"hparams": {"spread": True}, "trainer": {"loss": "beta_laplace"}},
        "Laplace likelihood times spread, five heads": {"hparams": {"spread": True, "members": 5}, "trainer": {"loss": "beta_laplace"}},
    }
    everywhere = [with_(recipe, name, **change) for name, change in changes.items() for recipe in (MODULI, GAP, ENERGY)]
    whole = replace(ENERGY, builder={})  # positions are moved, and orbits are not
    cogn = with_(replace(ENERGY, model="cogn"), "CoGN as it is", trainer={"max_epochs": 60})
    return [
        *everywhere,
        replace(ENERGY, name="all properties at once", properties=ENERGY.properties + GAP.properties + MODULI.properties),
        with_(MODULI, "from formation energy", start=ENERGY, trainer={"lr": 2e-3}),
        with_(ENERGY, "width 128", hparams={"width": 128}),
        with_(ENERGY, "five convolutions", hparams={"n_conv": 5}),
        replace(whole, name="whole cells"),
        replace(whole, name="whole cells, atoms moved by 0.02 Å", noise=0.02),
        with_(ENERGY, "four times the epochs", trainer={"max_epochs": 120}),
        cogn,
        with_(cogn, "CoGN, weight decay 0.15", trainer={"weight_decay": 0.15}),
        with_(cogn, "CoGN, edges updated", hparams={"edge_updates": True}),
        *long(),
    ]


def long() -> "list[Recipe]":
    "Trainings as long as those of the table, with one thing otherwise."
    everything = ("formation_energy", "band_gap", "bulk_modulus")
    changes = [
        ("cgcnn", everything, "CGCNN, long, no weight decay", {"trainer": {"weight_decay": 0.0}}),
        ("cgcnn", ("bulk_modulus",), "CGCNN, long, three times the weight decay", {"trainer": {"weight_decay": 0.3}}),
        ("cgcnn", ("bulk_modulus",), "CGCNN, long, one head", {"hparams": {"spread": False, "members": 1, "dropout": 0.0}, "trainer": {"loss": "mae"}}),
        ("equivariant", everything, "EquivariantGNN, long, small", {"hparams": {"preset": "small"}}),
        ("equivariant", ("band_gap",), "EquivariantGNN, long, two fifths of the weight decay", {"trainer": {"weight_decay": 0.045}}),
    ]
    of = {(recipe.model, recipe.properties[0]): recipe for recipe in table() if not recipe.teachers}
    taught = next(recipe for recipe in table() if recipe.teachers and recipe.properties == ("band_gap",))
    plain = with_(taught, "student, crystals as they are, four times the epochs", trainer={"max_epochs": 4 * taught.trainer["max_epochs"]}, copies=0)
    return [replace(with_(of[model, first], name, **change), group="ablations") for model, firsts, name, change in changes for first in firsts] + [
        replace(plain, group="ablations")
    ]


EPOCHS = {"cgcnn": 300, "m3gnet": 40, "equivariant": 60, "alignn": 40, "cogn": 150}  # ten minutes of the processor; twenty for the models that on validation gain most by them
DECAY = {"formation_energy": 4.5e-4, "band_gap": 4.5e-4, "bulk_modulus": 1e-3}  # of the weights in a step at the highest learning rate; of few crystals more
OTHERWISE = {  # by validation
    ("equivariant", "formation_energy"): {"hparams": {"preset": "medium"}, "trainer": {"max_epochs": 100}},
    ("equivariant", "band_gap"): {"hparams": {"preset": "medium"}, "trainer": {"weight_decay": 0.11}},
    ("equivariant", "bulk_modulus"): {"hparams": {"preset": "medium"}},
    ("cgcnn", "bulk_modulus"): {"hparams": {"spread": True, "members": 5, "dropout": 0.1}, "trainer": {"loss": "beta_laplace"}},
}


def table() -> "list[Recipe]":
    "All models, with what the ablations showed to help."
    learned = [("formation_energy",), ("band_gap",), ("bulk_modulus", "shear_modulus")]
    rows = [Recipe("table", baseline.title, properties, name) for name, baseline in BASELINES.items() for properties in learned]
    changes = [{"atom_features": "embedding+pymatgen", "atom_ref": True}, {"atom_features": "embedding+pymatgen"}, {"atom_features": "pymatgen"}]
    for name, epochs in EPOCHS.items():
        for properties, hparams in zip(learned, changes):
            builder = {} if name == "equivariant" else {"asymmetric_unit": True}
            trainer = {"max_epochs": epochs, "weight_decay": float(f"{DECAY[properties[0]] / MODELS[name].lr:.2g}")}
            recipe = Recipe("table", MODELS[name].__name__, properties, name, hparams, builder, trainer)
            rows.append(with_(recipe, recipe.name, **OTHERWISE.get((name, properties[0]), {})))
    return rows + students([recipe for recipe in rows if recipe.model not in BASELINES])


def students(rows) -> "list[Recipe]":
    "For what each training learns, a model that learns it from all the others' answers. It has more crystals in an epoch than they, and no label to remember."
    trainer = {"max_epochs": 25, "weight_decay": 0.0}
    like = [recipe for recipe in rows if recipe.model == "m3gnet"]
    return [replace(with_(r, "student", trainer=trainer), teachers=tuple(t for t in rows if t.properties == r.properties), copies=3) for r in like]


def curves() -> "list[Recipe]":
    "Formation energy of fewer training crystals, with as many steps for each crystal."
    return [replace(recipe, group="curves", size=size) for recipe in table() for size in SIZES if recipe.properties == ("formation_energy",) and not recipe.teachers]


GROUPS = {"ablations": ablations, "table": table, "curves": curves}


def recipes(groups) -> "list[Recipe]":
    "Those of the groups with each seed, the quick ones of a seed first in their order."
    return [with_seed(recipe, seed) for group in groups for seed in SEEDS for recipe in GROUPS[group]()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], help=", ".join(GROUPS))
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, each on one thread")
    parser.add_argument("--accelerator", choices=["cpu", "cuda"], default="cpu", help="where models learn; the time written down is the processor's")
    parser.add_argument("--list", action="store_true", help="say what is done, and train nothing")
    options = parser.parse_args()
    wanted = recipes(options.groups or GROUPS)
    missing = [recipe for recipe in wanted if recipe.result() is None]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} trainings are done", flush=True)
    if options.list:
        for recipe in missing:
            print(recipe.file.stem)
        return
    for recipe in joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(joblib.delayed(train)(recipe, options.accelerator) for recipe in missing):
        print(recipe.file.stem, flush=True)


if __name__ == "__main__":
    main()
