"""The budgets of the design, measured: `python -m cloudytools.bench --help` tells more."""
