"""`python -m airflow_train.cli` is `airflow-train`."""

from __future__ import annotations

import sys

from airflow_train.cli.main import main

sys.exit(main())
