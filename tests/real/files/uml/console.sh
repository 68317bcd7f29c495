#!/bin/sh
# What User Mode Linux starts to be typed to: a shell on its console.
mount -t proc proc /proc
mount -o remount,rw /
exec setsid sh -c "exec sh </dev/tty0 >/dev/tty0 2>&1"
