echo one > f
echo two >> f
cat f
: > f
wc -c f
seq 1 20000 | tail -n 1
seq 1 3000 | sort -n -r | head -n 2
dd if=/dev/zero of=big bs=64k count=16 2>&1 | head -n 2
sha256sum big
truncate -s 1000000 s
wc -c s
stat -c %b s
echo x | dd of=s bs=1 seek=500000 conv=notrunc 2>/dev/null
wc -c s
tail -c 499999 s | head -c 1 | od -c
cmp s big
exec 3>g
echo a >&3
echo b >&3
exec 3>&-
cat g
exec 4<g
rm g
cat <&4
exec 4<&-
printf 'a\nb\n' > o
printf 'a\nc\n' > n
diff o n > p
patch o < p
cat o
sed -i s/a/z/ o; cat o; awk '{s+=length($0)} END {print s}' o n; tee t u < o; cmp t u && echo same
set -C
echo again > o
set +C
echo over > o
cat o
tac n
cat nothing
cat .
yes x 2>/dev/null | head -n 2
echo error > /dev/full
cat /dev/null
head -c 4 /dev/zero | od -c
