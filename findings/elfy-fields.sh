#!/usr/bin/env bash
# elfy 1.0.0 (npm): every file of Linux is one of HP-UX, alignments and entry sizes of 64-bit sections are other
#   numbers, .bss has the bytes of what comes next in the file, and a core file cannot be read.
# Expected (elf(5): e_ident[7] is the ABI, [8] its version; in Elf64_Shdr sh_addralign follows sh_info at 48;
#   SHT_NOBITS occupies no space; e_shnum may be 0; the README: "Simple elf format parser"): what readelf shows.
# Seen: e_ident[6], the format's version, 1, is taken for the ABI, and the ABI for its version; the last fields of a
#   section are read two bytes early; without sections a TypeError ends all, segments included.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
npm install --silent --no-audit --no-fund --cache "$W/npm" --prefix "$W" elfy@1.0.0 >npm.log
gcc -x c -c -o object.o - <<'C'
static _Alignas(64) char bss[64];
char *f(void) { return bss; }
C
cat >t.js <<'J'
const fs = require('fs');
const elfy = require('elfy');
const elf = elfy.parse(fs.readFileSync('object.o'));

console.log(`OS/ABI ${elf.osabi}, its version ${elf.abiversion}`);
for (const name of ['.bss', '.symtab']) {
	const {addralign, entsize} = elf.body.sections.find((section) => section.name === name);
	console.log(`${name}: aligned to ${addralign}, entries of ${entsize}`);
}
console.log('.bss has', elf.body.sections.find(({name}) => name === '.bss').data.length, 'bytes of the file');
try {
	console.log('core file:', elfy.parse(fs.readFileSync('core')).body.programs.length, 'segments');
} catch (error) {
	console.log('core file:', error.name);
}
J
PYTHONPATH=$HERE python3 -c 'import core; core.write("core", core.nt_prstatus(7), [(0x10000, b"a page")])'
readelf -hSW object.o | sed -n -E 's/.*(OS.ABI): +/\1 /p; s/.* (\.bss|\.symtab) .* ([0-9]+)$/\1 aligned to \2/p' >fields
readelf -lW core | grep -c -E 'NOTE|LOAD' >>fields
expect "readelf" "$(cat fields)" \
"OS/ABI UNIX - System V
.bss aligned to 64
.symtab aligned to 8
2"
expect "elfy" "$(node t.js)" \
"OS/ABI hpux, its version none
.bss: aligned to 4194304, entries of 0
.symtab: aligned to 524288, entries of 1572864
.bss has 64 bytes of the file
core file: TypeError"
