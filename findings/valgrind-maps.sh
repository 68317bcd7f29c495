#!/usr/bin/env bash
# Valgrind 3.19.0 (Debian 12): a program under Valgrind has another mmap(), even with --tool=none.
# Expected (mmap(2), remap_file_pages(2), mremap(2), mlock2(2), as on the host; Valgrind's manual, "The
#   Valgrind core", names no such call under "Limitations"): MAP_FIXED_NOREPLACE on a mapping is
#   EEXIST; the others work.
# Seen: MAP_FIXED_NOREPLACE succeeds, at another address; remap_file_pages and mlock2 do not exist;
#   both forms of mremap that leave the old mapping in place are EINVAL.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb valgrind 1:3.19.0-
gcc -static -o maps "$HERE/maps.c"
expect "host" "$(./maps)" \
"MAP_FIXED_NOREPLACE on a mapping: EEXIST
remap_file_pages: 0
mremap of old size 0, shared: 0
MREMAP_DONTUNMAP: 0
mlock2 MLOCK_ONFAULT: 0
mprotect of length 0: 0"
export VALGRIND_LIB=$W/root/usr/libexec/valgrind
expect "valgrind" "$("$W/root/usr/bin/valgrind.bin" -q --tool=none ./maps 2>/dev/null)" \
"MAP_FIXED_NOREPLACE on a mapping: 0
remap_file_pages: ENOSYS
mremap of old size 0, shared: EINVAL
MREMAP_DONTUNMAP: EINVAL
mlock2 MLOCK_ONFAULT: ENOSYS
mprotect of length 0: 0"
