"""The demonstration's data: what `demo.yaml` describes, made up for the past and fed live.

`spec.demo_spec` reads the file, `curve.history` draws the past, `prepare.prepare` stores what of it
is missing, `feed.feed` goes on through the public HTTP door. Nothing here is used unless the
demonstration is asked for, and the feeder needs no database.
"""
