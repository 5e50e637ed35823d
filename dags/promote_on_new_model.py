"""### Promote on new model

Runs whenever a version of the model *digits* has been registered, by whatever DAG. The version with the best accuracy
bears the tag `stage: production`, which is what a service would load: `Model("digits", tags={"stage": "production"})`.
Told twice of the same version, or ended in the middle and tried again, it comes to the same result.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, task

from airflow_train import Model


@task(retries=2)
def promote(triggering_asset_events: Any) -> str | None:
    """Give the tag to the best of the new versions and the one that has it; returns that one's id."""
    accuracy = {}
    for events in triggering_asset_events.values():
        for event in events:
            new = event.extra
            print(f"New: {new['name']}:{new['version']} of run {new['run_id']} with {new['metrics']}")
            accuracy[Model(new["name"], version=new["version"])] = new["metrics"]["accuracy"]
    serving = Model.list("digits", tags={"stage": "production"})
    accuracy |= {model: float(model.tags["accuracy"]) for model in serving}
    if not accuracy:
        return None  # started by hand before anything was registered
    best = max(sorted(accuracy, key=lambda model: model.version), key=lambda model: accuracy[model])
    best.add_tags({"stage": "production", "accuracy": accuracy[best]})
    for model in serving:
        if model != best:
            model.add_tags({"stage": "retired"})
    print(f"Production: {best.id} with accuracy {accuracy[best]:.4f}")
    return best.id


NEW = [
    Asset("airflow-train://models/digits")
]  # not Asset.ref: such a DAG runs, but Airflow 3.3 hands it no events
with DAG(
    "promote_on_new_model", schedule=NEW, max_active_runs=1, doc_md=__doc__, tags=["airflow-train"]
) as dag:
    promote()
