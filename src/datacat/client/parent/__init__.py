"""``datacat run``: the parent of any program, which sees how it ends.

What must hold: the program runs as it would without us. Its input and output are its own, its stderr
passes through unchanged, signals reach it once, and whoever started us sees its end as ours. Whatever
is wrong with the server or the disk, the program does not notice.

=============== =======================================================
``run.py``      puts the rest together
``child.py``    starts the program, and sees how it ends
``signals.py``  what reaches us, and what of it is passed on
``stderr.py``   the program's stderr on its way to ours
``tail.py``     its last lines; pure
``report.py``   the exit record; pure
=============== =======================================================
"""
