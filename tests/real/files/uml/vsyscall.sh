#!/bin/sh
# What User Mode Linux starts to ask for the time by the system call and by the page of vsyscalls.
say() { echo "in-uml: $*" >/dev/console; }
mount -t proc proc /proc
date -s 2001-02-03 >/dev/null
set -- $(/clock | grep -o 'gettimeofday [0-9]*' | cut -d ' ' -f 2)
say system call: $(date -u -d @$1 +%Y)
case $(($2 - $1)) in
0 | 1) say page: guest ;;
*) say page: host ;;
esac
echo o >/proc/sysrq-trigger
sleep 5
