"""Files of any form become one table of texts. Runs inside the jail and imports little.

`table.open_table` is the door: it looks at the content, never at the name, and hands the file to
`delimited` (CSV), `sheets` (XLSX), `objects` (JSON, NDJSON, GeoJSON), `columnar` (Parquet),
`geopackage` or `shapefiles`. `unpack` and `limits` hold what is checked before anything is
unpacked, `encodings` and `fonts` how text was written, `describe` what an unknown file seems to be.
"""
