mkdir -p a/b/c && echo hello > a/b/f && cp -r a z && find . | sort
mv z/b/f z/g
rm -r z/b
ls -R
rmdir a
rmdir a/b/c
ls a/b
mkdir a
mkdir -p x/../y
ls
for i in 1 2 3; do echo data $i > a/f$i; done; ln a/f2 a/h; stat -c '%n %s %h %F %a %u' a/f* a/h
find a -links 2 | sort
cp -a a copy
diff -r a copy && echo equal
stat -c %h copy/h
for i in `seq 1 300`; do echo $i > n$i; done; ls | wc -l; rm n*; ls
