#!/usr/bin/env python3
"""Train a model on the sample, and put it into the package with its card: atlas_nb/pretrained/NAME.

    python scripts/make_pretrained.py elastic_moduli                              by its recipe below
    python scripts/make_pretrained.py elastic_moduli --model cogn --max-epochs 60 by another: it takes all options of `atlas-nb train`
    python scripts/make_pretrained.py band_gap --resume runs/pretrained/band_gap  of a training that was cut off, or that `atlas-nb train` has done
    python scripts/make_pretrained.py cards                                       judge those that ship again, by the code as it is now

Recipes are those that did well on validation crystals. The same recipe gives the same weights on the same machine. Labels of test crystals are
withheld until the training is over, as `atlas-nb train` does it.
Energies and gaps are said by students of the models of scripts/records.py, which are trained where their weights are not there: an hour of a core each.
Afterwards run notebooks 49_models.pretrained, which holds the card against the weights, and 60_cli and index, which show an answer.
"""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import records
import tyro

from atlas_nb import __version__
from atlas_nb.choices import chosen_split, read_data
from atlas_nb.commands import Train, resumed, run
from atlas_nb.data.crystal import SYMBOLS
from atlas_nb.files import file_sha256, whole_file
from atlas_nb.graphs.dataset import CrystalPropertyDataset
from atlas_nb.models.ensemble import load_ensemble
from atlas_nb.run import MEMBERS

RUNS = Path("runs/pretrained")


def taught(name: str) -> records.Recipe:
    "The student of the page of records that learns a property."
    return next(recipe for recipe in records.table() if recipe.teachers and recipe.properties == (name,))


def student(name: str) -> Train:
    "The same as a run, which says intervals, too."
    recipe = taught(name)
    return Train(property=recipe.properties, model=recipe.model, ensemble="distilled", teachers=tuple(map(str, teacher_folders(recipe))), copies=recipe.copies,
                 hparam=tuple(f"{key}={value}" for key, value in recipe.hparams.items()), run_dir=RUNS / name, **recipe.builder, **recipe.trainer)  # fmt: skip


def teacher_folders(recipe: records.Recipe) -> "list[Path]":
    return [RUNS / "teachers" / teacher.file.stem for teacher in recipe.teachers]


RECIPES = {
    "formation_energy": ("M3GNet, taught by five models", student("formation_energy")),
    "band_gap": ("M3GNet, taught by five models", student("band_gap")),
    "elastic_moduli": (
        "bulk and shear modulus, CGCNN, 200 epochs",
        Train(property=("bulk_modulus", "shear_modulus"), ensemble="shared", loss="beta_laplace", asymmetric_unit=True, max_epochs=200, weight_decay=0.1,
              hparam=("atom_features=pymatgen",), run_dir=RUNS / "elastic_moduli"),  # fmt: skip
    ),
}

TARGET = Path(__file__).parent.parent / "atlas_nb" / "pretrained"
SAMPLE = Path(__file__).parent.parent / "atlas_nb" / "data" / "sample" / "mp_6k.npz"
FEW = 10  # training crystals with an element, below which it is called rare
LIMITS = [
    "The labels are PBE(+U) values of the Materials Project: no experiments, and not the OptB88vdW values of JARVIS-DFT. "
    "Gaps of PBE are smaller than measured ones.",
    "The training crystals are relaxed and ordered. The model has not seen strained or distorted ones, surfaces, defects or molecules; it is no force field.",
    "The sample was chosen for other purposes and is no random draw. Intervals hold for crystals like those of the sample; "
    "predictions for crystals farther from the training crystals than 99 % of the validation crystals come with a warning.",
    "The validation crystals that calibrate the intervals have chosen the epoch as well. "
    "Where the intervals hold fewer test labels than they promise, see the table, take them wider accordingly.",
]
LICENCE = (
    "The weights are under the licence of the package, Apache 2.0. They were learned from data of the Materials Project, "
    "licensed under Creative Commons Attribution 4.0 (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/.\n"
    'Cite A. Jain et al., APL Materials 1, 011002 (2013), and the papers of each property that the page "The sample" lists.'
)


def limits(uq, crystals) -> dict:
    "Elements that the model never or hardly saw."
    count = np.bincount(np.concatenate([np.unique(c.numbers) for c in crystals]), minlength=len(SYMBOLS))
    seen = uq.models[0].elements_seen.numpy()
    assert ((count[1:] > 0) == seen[1 : len(count)]).all(), "the elements seen are not those of the training crystals"
    unseen, rare = ([SYMBOLS[z] for z in range(1, len(SYMBOLS)) if there(count[z])] for there in (lambda n: n == 0, lambda n: 0 < n < FEW))
    return {"unseen": unseen, "few": FEW, "rare": rare, "text": LIMITS}


def teach(train: Train):
    "Put the teachers of a student where it looks for them, trained if need be."
    recipe = taught(train.property[0])
    for teacher, folder in zip(recipe.teachers, teacher_folders(recipe)):
        if not (folder / "split.json").exists():
            model = records.trained(teacher, "cpu")
            split = records.dataset(teacher, model.builder).split
            model.save(folder)
            split.save(folder / "split.json")


def history(folder: Path) -> dict:
    "Epochs and time of a run, of all its members."
    tables = [pd.read_csv(path) for path in sorted((folder / MEMBERS).glob("*/history.csv"))]
    best = [int(table.epoch[table.val_loss.idxmin()]) for table in tables]
    threads = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    best = best[0] if len(best) == 1 else best
    return {"epochs": sum(map(len, tables)), "best_epoch": best, "minutes": round(sum(t.seconds.sum() for t in tables) / 60, 1),
            "threads": threads["threads"], "date": threads["date"][:10], "gpu": threads["gpu"]}  # fmt: skip


def measured(uq, ds, baselines: dict) -> dict:
    "Errors and intervals on validation and test, beside what baselines have on test."
    judged = {part: uq.evaluate(ds.loader(part)) for part in ("val", "test")}
    numbers = ("mae", "coverage_90", "width_90", "n")
    return {
        p.name: {"label": p.label, **{part: {what: table.at[p.name, what].item() for what in numbers} for part, table in judged.items()}, "baselines": baselines[p.name]}
        for p in uq.trained()
    }


def data_for(uq) -> CrystalPropertyDataset:
    "The sample as what ships has learned it."
    names = [p.name for p in uq.properties]
    crystals, labels = read_data("sample", names, "raise", progress=False)
    return CrystalPropertyDataset(crystals, labels, names, uq.builder, chosen_split("formula", crystals, labels, uq.properties)[-1]).prepare()


def make_card(uq, ds, folder: Path, name: str) -> dict:
    "All that is known of the model of a run."
    options, told = resumed(Train(resume=folder)), history(folder)
    if options.teachers:
        of = zip(taught(options.property[0]).teachers, options.teachers)
        told["teachers"] = [{"model": t.name, "training": f"nbs/benchmarks/records/{t.file.name}", "minutes": round(t.result()["cpu_s"] / 60, 1), "folder": folder} for t, folder in of]
    others = pd.read_csv(folder / "table.csv").set_index(["property", "model"]).MAE
    mine = type(uq.models[0]).__name__
    metrics = measured(uq, ds, {p.name: {of: float(mae) for of, mae in others[p.label].items() if not of.startswith(mine)} for p in uq.trained()})
    parts = {part: ds.loader(part).dataset.ids() for part in ("train", "val", "test")}
    learned = [c for c in ds.crystals if c.id in set(parts["train"])]
    return {
        "name": name,
        "date": told.pop("date"),
        "atlas_nb": __version__,
        "model": {"kind": mine, "form": uq.form, "members": uq.members, "parameters": uq.parameters()},
        "data": {"name": f"the sample, {len(ds.crystals):,} crystals of the Materials Project", "sha256": file_sha256(SAMPLE), "graphs": ds.fingerprint},
        "split": {"method": ds.split.method, "sha256": ds.split.hash, **{part: len(ids) for part, ids in parts.items()}},
        "training": {"command": shlex.join(["atlas-nb", "train", *options.words()]), "seed": options.seed, **told},
        "metrics": metrics,
        "limits": limits(uq, learned),
        "licence": LICENCE,
    }


def make(
    name: str,  # what the model is called, and its folder
    train: Train,
):
    options = resumed(train) if train.resume else train
    if options.data != "sample" or options.split != "formula" or not options.ensemble or not options.baselines:
        raise SystemExit("what ships is trained on the sample, split by formula, as an ensemble (single is a form of it, too), beside baselines")
    if options.teachers not in [recipe.teachers for _, recipe in RECIPES.values()]:
        raise SystemExit("the card tells of teachers that the page of records has; leave out --teachers, or add theirs to scripts/records.py")
    if options.teachers:
        teach(options)
    run(options)
    folder = options.folder()
    uq = load_ensemble(folder)
    card = make_card(uq, data_for(uq), folder, name)
    target = TARGET / name
    uq.save(target)
    kept = sorted(f for f in target.rglob("*") if f.is_file())
    for file in kept:
        file.chmod(0o644)  # whoever installs the package for others
    card["files"] = {f.relative_to(target).as_posix(): file_sha256(f) for f in kept}
    write(card, target)
    print(f"{target}: {sum(f.stat().st_size for f in kept):,} bytes\n{json.dumps(card['metrics'], indent=1)}")


def write(card: dict, target: Path):
    with whole_file(target / "card.json") as part:
        part.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def judge_again():
    "Weights stay, and what their cards say of them is measured anew."
    for target in sorted(path.parent for path in TARGET.glob("*/card.json")):
        card, uq = json.loads((target / "card.json").read_text(encoding="utf-8")), load_ensemble(target)
        card["metrics"] = measured(uq, data_for(uq), {name: m["baselines"] for name, m in card["metrics"].items()})
        card["limits"]["text"] = LIMITS
        write(card, target)
        print(f"{target.name}\n{json.dumps(card['metrics'], indent=1)}")


if __name__ == "__main__":
    if sys.argv[1:] == ["cards"]:
        judge_again()
    else:
        make(sys.argv[1] if len(sys.argv) > 1 else "", tyro.extras.overridable_config_cli(RECIPES, description=__doc__))
