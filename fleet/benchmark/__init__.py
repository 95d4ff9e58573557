"""Methods x scenes x seeds, measured: one resumable Ray job, its tables and its figures.

scenes   names -> frames with labels: generated ones, and real footage from a folder that the user names
cells    one method on one scene: fitted, scored, measured
suites   which cells answer which question
job      the cells that have no record yet, on Ray
tables, figures, report   what people read
"""
