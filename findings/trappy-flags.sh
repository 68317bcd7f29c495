#!/usr/bin/env bash
# TRAPpy 6.0.1 (PyPI) finds no event in a trace of Linux 5.16 or later, and does not say so.
# Expected (Documentation/trace/ftrace.rst, "Output format": since 5.16 five characters stand between
#   the processor and the time, the last of them for migrate-disable; before there were four): the
#   events of the file.
# Seen: with four characters both events are read; with five the trace is empty and 0 s long.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv trappy==6.0.1 pandas==3.1.1 numpy==2.4.6
cat >t.py <<'P'
import warnings
import trappy

warnings.simplefilter("ignore")
EVENT = "     {}-{} [000] {} {}: sched_switch: prev_comm={} prev_pid={} prev_prio=120 prev_state=S ==> next_comm={} next_pid={} next_prio=120\n"
for flags in ("d..2", "d..2."):
    path = f"{len(flags)}.txt"
    with open(path, "w") as file:
        file.write("# tracer: nop\n#\n")
        file.write(EVENT.format("cat", 7, flags, "10.000001", "cat", 7, "sh", 8))
        file.write(EVENT.format("sh", 8, flags, "10.500001", "sh", 8, "cat", 7))
    trace = trappy.FTrace(path, scope="sched", normalize_time=False)
    print(len(flags), "flags:", len(trace.sched_switch.data_frame), "events in", trace.get_duration(), "s")
P
expect "ftrace" "$("$W/venv/bin/python" t.py 2>&1)" \
"4 flags: 2 events in 0.5 s
5 flags: 0 events in 0 s"
