#!/bin/sh
# What User Mode Linux starts to use its memory: files of 12 MB in memory, no page like another, read
# back twice in other orders; then it halts the guest.
say() { echo "in-uml: $*" >/dev/console; }
mount -t proc proc /proc
mount -t tmpfs tmpfs /tmp
for n in $(seq 12); do seq $((n * 100000)) $((n * 100000 + 140000)) | head -c 1m >/tmp/$n; done
say $(cat /tmp/* | md5sum)
say $(for n in $(seq 12 -1 1); do cat /tmp/$n; done | md5sum)
echo o >/proc/sysrq-trigger
sleep 5
