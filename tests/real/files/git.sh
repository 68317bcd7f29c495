export HOME=$PWD GIT_AUTHOR_DATE='1 +0000' GIT_COMMITTER_DATE='1 +0000'
git config --global user.email a@b
git config --global user.name N
git init -q -b main r; cd r
cp $FILES/*.py .
git add .; git commit -q -m one
for i in 1 2 3; do echo "# $i" >>loop.py; git commit -q -a -m $i; done
git gc -q; git fsck --strict
git log --oneline | cat
git count-objects -v | grep in-pack
git clone -q . ../c; git -C ../c diff HEAD~2 --stat | cat
