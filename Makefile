# make demo: set up, train on the shipped data.  make test: set up, run every check.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BENCH ?= .venv-benchmarks

.PHONY: setup official demo test prove docs browser readme notebooks benchmarks pretrained clean

setup: $(VENV)/.ready

$(VENV)/.ready: settings.ini setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

official: $(VENV)/.official  ## official splits, of which only the files are read

$(VENV)/.official: $(VENV)/.ready requirements-official.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-official.txt
	touch $@

demo: setup  ## train CGCNN on formation energies beside two baselines
	$(BIN)/atlas-nb train --property formation_energy --run-dir runs/demo --overwrite

test: setup official  ## notebooks, drift of export and clean, import order, outputs, README, site
	$(BIN)/python scripts/checks.py

prove: setup official  ## plant a fault for each check and see it found
	$(BIN)/python scripts/checks.py --prove

docs: setup  ## build the site into _proc/_docs; a broken link fails
	$(BIN)/python scripts/site.py

browser: docs $(VENV)/.browser  ## look at the widgets in JupyterLab and at every page of the site in a headless Chromium; pictures go into _browser
	$(BIN)/python scripts/browser.py --pictures _browser

$(VENV)/.browser: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,browser]"
	touch $@

readme: setup  ## README.md from nbs/index.ipynb
	$(BIN)/python scripts/readme.py

notebooks: setup official  ## run anew all notebooks without slow cells, and keep their outputs
	$(BIN)/python scripts/run_notebooks.py

benchmarks: $(BENCH)/.ready  ## run anew those with slow cells (hours), beside the packages they compare, and keep their outputs
	$(BENCH)/bin/python scripts/run_notebooks.py --benchmarks

pretrained: setup  ## train anew the models that ship, by the recipes in the script
	for name in formation_energy band_gap elastic_moduli; do $(BIN)/python scripts/make_pretrained.py $$name --overwrite || exit 1; done

$(BENCH)/.ready: settings.ini setup.py constraints.txt requirements-benchmarks.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,benchmarks]"
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-benchmarks.txt
	touch $@

clean:
	rm -rf $(VENV) $(BENCH) _proc _docs _browser runs *.egg-info
