#!/usr/bin/env bash
# @raygun-nickj/mmap-io 1.4.0 (npm; the same code as mmap-io 1.1.7, which this Node.js cannot build): offsets are
#   taken modulo 4 GiB: what is written to a mapping at 4 GiB overwrites the file's beginning, unsaid.
# Expected (mmap(2): the mapping begins at offset in the file and has length bytes; the README: "offset = 0" is
#   optional, `offs_t` is size_t; numbers of JavaScript are exact to 2^53): as Python's mmap of the same file.
# Seen: offset and size become an int: 5 GiB is 1 GiB, 3 GiB is refused with EOVERFLOW or, as a size, ENOMEM.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")") # where Node.js keeps its headers
npm install --silent --no-audit --no-fund --cache "$W/npm" --prefix "$W" --nodedir="$prefix" \
	@raygun-nickj/mmap-io@1.4.0 >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
python3 - <<'P'
with open("file", "wb") as file:
    for gib in 0, 1, 3, 4, 5:
        file.seek(gib << 30)
        file.write(b"at %d GiB" % gib)
    file.truncate(6 << 30)
P
cat >t.py <<'P'
import mmap
with open("file", "rb") as file:
    for gib in 0, 1, 3, 4, 5:
        with mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ, offset=gib << 30) as mapping:
            print(f"{gib} GiB: {mapping[:8].decode()}")
P
cat >t.js <<'J'
const fs = require('fs');
const mmap = require('@raygun-nickj/mmap-io');
const fd = fs.openSync('file', 'r+');
const GIB = 2 ** 30;
const map = (size, offset) => mmap.map(size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, offset);

for (const gib of [0, 1, 3, 4, 5])
	try {
		console.log(`${gib} GiB: ${map(4096, gib * GIB).toString('latin1', 0, 8)}`);
	} catch (error) {
		console.log(`${gib} GiB: ${error.message}`);
	}
try {
	console.log('3 GiB long:', map(3 * GIB, 0).length);
} catch (error) {
	console.log('3 GiB long:', error.message);
}
map(4096, 4 * GIB).write('written ');
J
expect "Python" "$(python3 t.py)" \
"0 GiB: at 0 GiB
1 GiB: at 1 GiB
3 GiB: at 3 GiB
4 GiB: at 4 GiB
5 GiB: at 5 GiB"
expect "mmap-io" "$(node t.js)" \
"0 GiB: at 0 GiB
1 GiB: at 1 GiB
3 GiB: mmap failed, 75
4 GiB: at 0 GiB
5 GiB: at 1 GiB
3 GiB long: mmap failed, 12"
expect "after a write at 4 GiB, Python" "$(python3 t.py | sed -n '1p;4p')" \
"0 GiB: written 
4 GiB: at 4 GiB"
