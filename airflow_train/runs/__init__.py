"""What a run is. Pure: no file, clock or process is touched here.

spec        the one document that crosses a process or machine boundary
ids         where run ids come from
status      the words, and which may follow which
record      everything the store knows of one run, and the status that follows from it
verdict     how it ended, counted from exit records
diagnosis   why it ended so, in one paragraph
metrics     what a script logged, in the shapes of Azure ML
git         where the source came from
"""
