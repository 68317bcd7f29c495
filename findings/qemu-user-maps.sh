#!/usr/bin/env bash
# qemu-x86_64-static 7.2 (Debian 12, qemu-user-static): calls on mappings that Linux grants or refuses.
# Expected (mmap(2), remap_file_pages(2), mremap(2), mlock2(2), mprotect(2), as on the host):
#   MAP_FIXED_NOREPLACE on a mapping is EEXIST; remap_file_pages works (emulated since Linux 4.0);
#   old size 0 of a shared mapping makes a second one; MLOCK_ONFAULT works (4.4); a length of 0 is
#   no error for mprotect.
# Seen: MAP_FIXED_NOREPLACE succeeds, at another address; of the rest only MREMAP_DONTUNMAP works.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb qemu-user-static 1:7.2+dfsg-
gcc -static -o maps "$HERE/maps.c"
expect "host" "$(./maps)" \
"MAP_FIXED_NOREPLACE on a mapping: EEXIST
remap_file_pages: 0
mremap of old size 0, shared: 0
MREMAP_DONTUNMAP: 0
mlock2 MLOCK_ONFAULT: 0
mprotect of length 0: 0"
expect "qemu" "$("$W/root/usr/bin/qemu-x86_64-static" ./maps)" \
"MAP_FIXED_NOREPLACE on a mapping: 0
remap_file_pages: ENOSYS
mremap of old size 0, shared: ENOMEM
MREMAP_DONTUNMAP: 0
mlock2 MLOCK_ONFAULT: ENOSYS
mprotect of length 0: ENOMEM"
