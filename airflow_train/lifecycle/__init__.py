"""What moves a run on, whoever is looking.

submit      definition → spec, snapshot, record, start; the same id again finds the run
steps       what comes next: a pure function of record and observation
observe     look, and take that step
wait        look until the end
secrets     references to values, by whoever starts the run; a spec that holds a value is refused
follow      output of all ranks as it comes
cancel      ask a run to stop
run         `Run`, the handle people hold; `experiment`, where they submit; `said`, checks of what they say
"""
