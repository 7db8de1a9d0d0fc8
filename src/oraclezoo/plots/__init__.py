"""Plot figures from arrays, as SVG and PNG. Requires matplotlib (extra ``[plots]``)."""
