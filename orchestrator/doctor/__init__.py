"""Is this site ready for calls with Teams? Asked once, judged purely; nothing is changed.

``look`` asks this machine, DNS and the CA at the same time, each question for a few seconds at
most; ``judge`` takes what was seen, the site and ``now``, and says it in findings. One answer that
does not come is a finding, and keeps no other check from running.
"""
