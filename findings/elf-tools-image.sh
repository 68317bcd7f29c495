#!/usr/bin/env bash
# elf-tools 1.1.2 (npm): parsing a 64-bit little-endian file reverses the words of its headers in the caller's buffer:
#   parsed again it is an error, saved it is no program any more. Flags of sections have the names of types.
# Expected (the README: "parse the data"; elf(5), sh_flags; readelf): a buffer as it was; .text is allocated and executed.
# Seen: eight bytes are reversed in place, in a slice that is the image itself; .text is "symtab|rela", which 2 and 4
#   are among the types.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
npm install --silent --no-audit --no-fund --cache "$W/npm" --prefix "$W" elf-tools@1.1.2 >npm.log
gcc -x c -o prog - <<<'int main(void) { return 7; }'
cat >t.js <<'J'
const fs = require('fs');
const elfTools = require('elf-tools');
const image = fs.readFileSync('prog');
const phoff = () => image.toString('hex', 32, 40);

console.log('e_phoff before:', phoff());
const elf = elfTools.parse(image);
console.log('e_phoff after:', phoff());
for (const name of ['.text', '.data'])
	console.log(name, elf.sections.find(({header}) => header.name === name).header.flags);
fs.writeFileSync('saved', image, {mode: 0o755});
try {
	elfTools.parse(image);
	console.log('parsed again');
} catch (error) {
	console.log('parsed again:', error.name);
}
J
expect "readelf" "$(readelf -SW prog | sed -n 's/^.* \(.text\|.data\) .* \([A-Z][A-Z]\) .*/\1 \2/p')" \
".text AX
.data WA"
expect "elf-tools" "$(node t.js)" \
"e_phoff before: 4000000000000000
e_phoff after: 0000000000000040
.text symtab|rela
.data progbits|symtab
parsed again: RangeError"
run() { ./"$1" 2>/dev/null && echo 0 || echo $?; }
expect "program" "the file exits with $(run prog), the saved buffer with $(run saved)" \
"the file exits with 7, the saved buffer with 126"
