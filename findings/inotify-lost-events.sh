#!/usr/bin/env bash
# inotify 0.2.12 and linuxfd 1.5 (PyPI): that events were lost is not said, and more of them are lost on the way.
# Expected (inotify(7): an overflow of the queue is an event IN_Q_OVERFLOW with wd -1; the end of a watch is
#   IN_IGNORED, which comes after inotify_rm_watch() and after a file's removal too; wds are not used again;
#   inotify's event_gen(): its default terminal_events, at which it raises TerminalEventException, begin with
#   IN_Q_OVERFLOW): an event, or an exception that says so. inotify-simple 2.0.1 hands on all of them.
# Seen: inotify drops whatever has a wd that it does not know, and -1 is such a one: no exception, no event;
#   add_watch() of a file that was removed and made anew (a log that is rotated) returns None and watches
#   nothing. linuxfd's read() is a KeyError for both kinds, and what it had read before is gone.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv inotify==0.2.12 linuxfd==1.5 inotify-simple==2.0.1
mkdir watched
cat >t.py <<'P'
import logging, os
import inotify.adapters, inotify_simple, linuxfd

logging.disable()
OPEN, DELETE_SELF, OVERFLOW = 0x20, 0x400, 0x4000
BUFFER = 1 << 20
with open("/proc/sys/fs/inotify/max_queued_events") as file:
    LIMIT = int(file.read())

def touch(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))

def fill():  # two names in turn: equal events in a row would be one
    for i in range(LIMIT + 10):
        touch(f"watched/{i % 2}")

def report(name, masks):
    masks = list(masks)
    opens = "all" if masks.count(OPEN) == LIMIT else masks.count(OPEN)
    print(f"{name}: {opens} that the queue holds, {masks.count(OVERFLOW)} of an overflow")

simple = inotify_simple.INotify()
simple.add_watch("watched", OPEN)
fill()
report("inotify-simple", (event.mask for read in iter(lambda: simple.read(timeout=0), []) for event in read))

notify = inotify.adapters.Inotify()
notify.add_watch("watched", OPEN)
fill()
report("inotify", (event[0].mask for event in notify.event_gen(timeout_s=1, yield_nones=False)))

linux = linuxfd.inotify(nonBlocking=True)
linux.add("watched", OPEN)
fill()
try:
    report("linuxfd", (event[2] for event in linux.read(BUFFER)))
except KeyError as error:
    print("linuxfd: KeyError", error)
try:
    report("linuxfd, read again", (event[2] for event in linux.read(BUFFER)))
except OSError as error:
    print("linuxfd, read again:", os.strerror(error.errno))

linux = linuxfd.inotify(nonBlocking=True)
linux.add("watched", OPEN)
touch("watched/0")
linux.remove("watched")
try:
    print("linuxfd, a watch removed:", linux.read())
except KeyError as error:
    print("linuxfd, a watch removed: KeyError", error)
try:
    print(linux.read())
except OSError as error:
    print("linuxfd, read again:", os.strerror(error.errno))

touch("log")
notify = inotify.adapters.Inotify()
notify.add_watch("log", OPEN | DELETE_SELF)
os.unlink("log")
print("inotify, a file removed:", *[e[1] for e in notify.event_gen(timeout_s=1, yield_nones=False)])
touch("log")
print("inotify, made anew: add_watch() is", notify.add_watch("log", OPEN | DELETE_SELF))
touch("log")
print("inotify, opened:", *[e[1] for e in notify.event_gen(timeout_s=1, yield_nones=False)])
P
expect "inotify" "$("$W/venv/bin/python" t.py)" \
"inotify-simple: all that the queue holds, 1 of an overflow
inotify: all that the queue holds, 0 of an overflow
linuxfd: KeyError -1
linuxfd, read again: Resource temporarily unavailable
linuxfd, a watch removed: KeyError 1
linuxfd, read again: Resource temporarily unavailable
inotify, a file removed: ['IN_DELETE_SELF'] ['IN_IGNORED']
inotify, made anew: add_watch() is None
inotify, opened:"
