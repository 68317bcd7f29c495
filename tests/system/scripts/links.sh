mkdir -p d/e
echo in > d/f
ln -s d/e l
ln -s ../f d/e/up
ln -s loop loop
ln -s none gone
cat l/up
cat l/../f
readlink -f l/up
realpath l/..
cat loop
cat gone
ls l loop gone
test -e gone || echo dangling
test -L gone && echo link
echo made > gone
cat none
ln -s d dir
ls dir
ls -d dir
rm dir
mv l l2
cat l2/up
cp -P l2 l3
readlink l3
ln none hard
stat -c %h none
rm none
cat hard
cat gone
rm gone/
rmdir d/e/up
ls d/e
find . -type l | sort
ln -s "" empty
ln -s x d/f/y
cd l2
pwd
cd ..
pwd
