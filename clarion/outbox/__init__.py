"""HOW ROWS LEAVE. Knows when, in which order and how fast; knows neither why a row exists nor any provider.

`cycle` is the one transaction a round, `dispatch` the sends themselves, `gate` the last questions before one,
`landing` what each answer means for the row, `claims` who may hold rows and who died with them.
"""
