umask 027
echo x > f
mkdir d
stat -c '%a %n' f d
umask 022
chmod 6755 f
stat -c %a f
chmod u-s,g+w f
stat -c %a f
chmod 1777 d
stat -c %A d
chown 5:6 f
stat -c '%u %g %a' f
mknod n c 1 3
echo gone > n
stat -c '%F %t %T' n
mknod n c 1 3
touch -d '2001-02-03 04:05:06' f
stat -c '%X %Y' f
touch f g
test f -nt n
echo $?
test -w f && test -s f && echo yes
ls nothing
mkdir f/x
rmdir /
rm -r d/..
mv f d
mv d d/e
cp d e
cd f
chmod 5 none
