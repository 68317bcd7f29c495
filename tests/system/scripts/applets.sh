# A hundred and more of busybox's tools, each on small inputs: what it prints, and its status.
printf 'pear\napple\nfig\napple\nbanana 3\nkiwi\t2\n' > a
printf 'apple\nfig\ngrape\n' > b
busybox seq 1 2000 > n
busybox mkdir d d/e
while read -r line; do
	echo "== $line"
	eval "busybox $line" < b 2>&1
	echo "status $?"
done <<'TOOLS'
sort a
sort -u a
sort -rn n | busybox head -n 3
uniq -c a
wc a n
head -n 2 a
head -c 5 a
tail -n 2 a
tac a
rev a
nl a
fold -w 3 a
expand a
unexpand -a a
cut -c1-3 a
cut -d ' ' -f 2 a
paste a b
comm b a
cmp a b
diff a b
diff -u a a
join a b
md5sum a n
sha1sum n
sha256sum n
sha384sum n
sha512sum n
sha3sum n
cksum n
crc32 n
sum n
base32 a
base64 a
od -c a
od -A x -t x2 a
hexdump -C a
hd a
xxd a
strings n | busybox tail -n 2
grep -n ap a
grep -c 1 n
egrep 'a|f' a
fgrep -v apple a
sed -n '2,3p; s/fig/FIG/p' a
awk '{ s += $1 } END { print s, NR, length("abc"), substr("hello", 2, 3), toupper("x"), 7 % 3 }' n
tr a-z A-Z
tee t1 t2
split -l 500 n s
ls
ls -F d
expr 3 + 4
expr length hello
factor 360 97 1234567
seq 3 -1 1
basename /a/b/c.txt .txt
dirname /a/b/c
printf '%05d-%s-%x\n' 42 x 255
echo -e 'one\ttwo'
test -f a
test -d a
[ 1 -lt 2 ]
true
false
cal 2 2024
date -u -d @86400
date -u -d @1000000000 +%F_%T
env -i A=1 busybox env
whoami
uname -s
pwd
basename "$PWD"
mkdir -p d/e/f
touch -d '2020-01-02 03:04:05' d/x
stat -c '%s %f %Y %F' d/x
ls -ln d/x
cp -a a d/a
mv d/a d/b
ln d/b d/c
ln -s b d/l
link a hard
unlink hard
readlink d/l
readlink -f d/l
realpath d/../a
chmod 640 d/b
chown 5:6 d/b
chgrp 7 d/x
stat -c '%a %u:%g %h' d/b d/x
install -m 600 a private
stat -c %a private
find d | busybox sort
find d -type l
find . -name 's*' -size +1 | busybox sort
tar cf t.tar a b n
tar tf t.tar
tar xOf t.tar b
gzip -k n
zcat n.gz | busybox md5sum
gunzip -t n.gz
bzip2 -k n
bzcat n.bz2 | busybox md5sum
lzop -c a | busybox lzopcat
xzcat nothing
unlzma -t nothing
find a b | busybox cpio -o -H newc 2>/dev/null | busybox cpio -t
dd if=n bs=100 count=2 skip=1 status=none
truncate -s 100 short
fallocate -l 5000 long
stat -c '%s %b' short long
rm -r d/e
rmdir d
rmdir nothing
rm nothing
cat nothing
cat -A a
mkfifo pipe
ls -F pipe
timeout 1 busybox sleep 5
timeout 5 busybox true
sleep 0.01
usleep 10
xargs -n 2 echo
uuencode a name
uuencode a name | busybox uudecode -o -
unix2dos b
dos2unix b
ipcalc -n 10.1.2.3/24
dc -e '3 4 * p'
echo '2^100; scale=5; 10/3' | busybox bc
which sh
tty
kill -l 9
setsid busybox true
nohup busybox true
flock a busybox true
mktemp -u /tmp/nameXXXXXX x
getopt ab: -a -b x y
tsort b
shuf -n 0 a
ed -s a
patch -i nothing
sync
fsync a
run-parts nothing
cpio -x
ar -t nothing
yes word | busybox head -n 3
ln -s nothing dangling
cat dangling
mv nothing elsewhere
cp d elsewhere
touch nothing/x
chmod 999 a
TOOLS
(
	trap 'echo trapped' EXIT
	f() { local x=3; echo $((x * 7)); }
	f
	for i in 0 1 2; do (exit $i) || echo "left $?"; done
	word=abc; echo ${word#a} ${#word} ${word%c} ${unset:-none}
	set -- q w e; echo $# "$*"; shift; echo "$1"
	case x in y | x) echo yes ;; esac
	echo a b c | while read -r p q; do echo "$q-$p"; done
	# Whether the shell says "Terminated" depends on who is first, the signal or the wait.
	busybox sleep 5 & kill $!; wait $! 2>/dev/null; echo "killed $?"
	umask 077; busybox touch mine; busybox stat -c %a mine
	exec 3> three; echo three >&3; busybox cat three
	read -r first rest < a; echo "$first"
	echo $((1 << 40)) $((-7 / 2)) $((7 % -4)) "$(busybox cat b)"
	getopts ab: o -a; echo $o
)
