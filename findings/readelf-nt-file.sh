#!/usr/bin/env bash
# readelf of binutils 2.40 (Debian 12): on amd64 it calls itself a 32-bit build and skips NT_FILE.
# Expected (readelf(1), "-n": the contents of the NOTE segments; linux/elf.h: NT_FILE): the table of
#   mapped files that Linux puts into every core file.
# Seen: "Cannot decode 64-bit note in 32-bit build" from the 64-bit program, for every 64-bit core
#   file; eu-readelf 0.188 shows the files.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
for name in binutils-x86-64-linux-gnu libbinutils libctf-nobfd0; do deb "$name" 2.40-; done
for name in elfutils libdw1 libelf1; do deb "$name" 0.188-; done
export LD_LIBRARY_PATH=$W/root/usr/lib/x86_64-linux-gnu PYTHONPATH=$HERE
python3 -c "
import core
core.write('t.core', core.nt_file([(0x10000000, 0x10001000, 3, '/data')]), [(0x10000000, b'')])"
readelf=$W/root/usr/bin/x86_64-linux-gnu-readelf
expect "the program's own class" "$("$readelf" -h "$readelf" | grep Class:)" \
	"  Class:                             ELF64"
expect "readelf -n" "$("$readelf" -n t.core | tail -n 2)" \
"  CORE                 0x0000002e	NT_FILE (mapped files)
    Cannot decode 64-bit note in 32-bit build"
expect "eu-readelf -n" "$("$W/root/usr/bin/eu-readelf" -n t.core | tail -n 3)" \
"  CORE                  46  FILE
    1 files:
      10000000-10001000 00003000 4096                /data"
