#!/bin/sh
# What User Mode Linux starts: a script with pipes, which halts the guest.
say() { echo "in-uml: $*" >/dev/console; }
mount -t proc proc /proc
say $(uname -s) $(echo a b c | tr a-c x-z | wc -w)
say $( (seq 100; exit 0) | sort -n | tail -n 1)
say $(grep -c MemTotal /proc/meminfo) $$
(exit 3); say status $?
echo o >/proc/sysrq-trigger
sleep 5
