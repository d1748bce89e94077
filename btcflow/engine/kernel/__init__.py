"""The sweep kernel: a rule over many parameter sets, told in summary numbers, without a target matrix.

``program`` compiles a rule into bitmaps, ``walk`` turns bitmaps into orders, ``tape`` prepares the
clock once for all sets, ``money`` settles the orders of one set, and ``sweep`` ties them together.
"""
