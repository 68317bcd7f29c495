use Fcntl ":flock";
use Socket;
socketpair(A, B, AF_UNIX, SOCK_STREAM, 0);
if (!fork) { close B; syswrite A, "from child\n"; exit 3 }
close A;
print scalar <B>;
wait;
print $? >> 8, "\n";
my %h = map { $_ => $_**2 } 1 .. 500;
print join(",", (sort { $a <=> $b } values %h)[-3 .. -1]), "\n";
$SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; sleep 9 };
print $@;
open F, ">f";
flock F, LOCK_EX;
print F "x" x 1e5;
close F;
print -s "f", "\n";
print `echo sub`;
