"""Shows its secrets in every way that is stored, then fails with one on its lips if it is told to."""

from __future__ import annotations

import os
import sys

from train_run import Run

password, key = os.environ["PASSWORD"], os.environ["KEY"]
print("password", password, "key", key)
run = Run.get_context()
run.log("password", password)
run.tag("key", key)
with open("logs/login.log", "w", encoding="utf-8") as log:
    log.write(f"{password} {key}")
print("both are there:", len(password), len(key))
if "--fail" in sys.argv:
    raise ValueError(f"no login with {password}")
