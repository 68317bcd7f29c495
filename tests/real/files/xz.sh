seq 300000 >n
xz -T2 --block-size=256KiB -1 -k n
xz -l n.xz | awk 'NR == 2 { print $2 }'
xz -T2 -dc n.xz | cmp - n && echo same
