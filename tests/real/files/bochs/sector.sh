# Its debugger asks once at the start; the guest writes to port 0xE9 and ends it by port 0x8900.
export HOME=$PWD
echo c | bochs -q -f $BUILT/bochsrc -log log 2>&1 | tr -d '\r' | grep -o -e 'boot sector .*' -e 'shutdown requested'
