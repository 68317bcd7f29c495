# Makes $BUILT/disk, an ext4 file system with busybox and clock.c, and $BUILT/xstate.so.
set -e
gcc -O1 -shared -fPIC -Wall -o $BUILT/xstate.so $FILES/uml/xstate.c
tree=$(mktemp -d); trap 'rm -r $tree' EXIT
chmod 755 $tree
mkdir -p $tree/bin $tree/dev $tree/proc $tree/tmp $tree/root
for name in $(busybox --list); do ln -sf busybox $tree/bin/$name; done
rm $tree/bin/busybox; cp $(command -v busybox) $tree/bin/busybox
for name in script memory console vsyscall; do install -m 755 $FILES/uml/$name.sh $tree/; done
gcc -O1 -static -o $tree/clock $FILES/../../../userland/programs/clock.c
rm -f $BUILT/disk
id=11111111-2222-3333-4444-555555555555
mke2fs -q -t ext4 -d $tree -U $id -E hash_seed=$id,root_owner=0:0 $BUILT/disk 16M
