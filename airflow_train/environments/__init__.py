"""What a run's script finds around it: from a job's environment to a recipe, and from a recipe to what was built of it.

`recipe` is pure: what is to be built, and the key under which it is built once. May import what lies below `targets/`.
"""
