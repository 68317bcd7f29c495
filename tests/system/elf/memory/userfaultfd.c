// What userfaultfd's ioctls answer, and what memory shows afterwards: no fault waits here.
// Prints what Linux 6.18 prints; as root or not (then of programs' own accesses only).
#define _GNU_SOURCE
#include "uffd.h"

static char *source;

static void before_and_after_the_api(void)
{
	struct pollfd p = { (int)syscall(SYS_userfaultfd, O_NONBLOCK | UFFD_USER_MODE_ONLY), POLLIN,
			    0 };
	struct uffdio_api api = { .api = UFFD_API, .features = 1ull << 40 };
	char buffer[64];
	SAY("register", watch(p.fd, source, 1, 1));
	SAY("read", read(p.fd, buffer, 64));
	SAY("write", write(p.fd, buffer, 8));
	NUM("poll", poll(&p, 1, 0));
	NUM("revents", p.revents);
	SAY("unknown", ioctl(p.fd, _IO(0xaa, 0x33), 0));
	SAY("flags", syscall(SYS_userfaultfd, 2));
	SAY("feature", ioctl(p.fd, UFFDIO_API, &api));
	NUM("api", api.api);
	api = (struct uffdio_api){ .api = 1 };
	SAY("api 1", ioctl(p.fd, UFFDIO_API, &api));
	api = (struct uffdio_api){ .api = UFFD_API };
	SAY("api", ioctl(p.fd, UFFDIO_API, &api));
	NUM("ioctls", api.ioctls);
	SAY("again", ioctl(p.fd, UFFDIO_API, &api));
	SAY("read 31", read(p.fd, buffer, 31));
	SAY("read 32", read(p.fd, buffer, 32));
	NUM("poll", poll(&p, 1, 0));
	fcntl(p.fd, F_SETFL, 0);
	NUM("poll", poll(&p, 1, 0));
	NUM("revents", p.revents);
	SAY("lseek", lseek(p.fd, 0, SEEK_CUR));
	SAY("unknown", ioctl(p.fd, _IO(0xaa, 0x33), 0));
	close(p.fd);
	puts("");
}

static void registering(void)
{
	int fd = new_fd(0), other = new_fd(0);
	char *at = memory(4, MAP_PRIVATE), *shared = memory(4, MAP_SHARED);
	SAY("no mode", watch(fd, at, 1, 0));
	SAY("mode 8", watch(fd, at, 1, 8));
	SAY("odd", watch(fd, at + 1, 1, 1));
	SAY("nothing", watch(fd, at, 0, 1));
	SAY("hole", watch(fd, hole(1), 1, 1));
	SAY("minor", watch(fd, at, 1, MINOR));
	SAY("shared", watch(fd, shared, 4, MINOR));
	NUM("ioctls", ioctls);
	SAY("shared", watch(fd, shared, 4, PROTECT));
	NUM("ioctls", ioctls);
	SAY("shared", watch(fd, shared, 4, 7));
	NUM("ioctls", ioctls);
	SAY("private", watch(fd, at, 4, 3));
	NUM("ioctls", ioctls);
	SAY("busy", watch(other, at, 1, 1));
	SAY("other's", unwatch(other, at, 1));
	SAY("one", unwatch(fd, at + P, 1));
	printf("%s|%s|%s ", field(at, "VmFlags"), field(at + P, "VmFlags"),
	       field(at + 2 * P, "VmFlags"));
	SAY("again", unwatch(fd, at + P, 1));
	SAY("all", watch(fd, at, 4, 1));
	SAY("hole", unwatch(fd, hole(1), 1));
	printf("%s|%s ", field(at, "VmFlags"), field(shared, "VmFlags"));
	close(fd);
	printf("closed: %s|%s\n", field(at, "VmFlags"), field(shared, "VmFlags"));
	close(other);
}

static void bringing(void)
{
	int fd = new_fd(0);
	char *at = memory(8, MAP_PRIVATE), *gap = memory(4, MAP_PRIVATE);
	munmap(gap + P, P);
	watch(fd, at, 8, 1);
	SAY("copy", copy(fd, at, source, 2, 0));
	printf("%ld %d %d ", (long)five.done, at[0], at[P]);
	SAY("again", copy(fd, at, source, 1, 0));
	printf("%ld ", (long)five.done);
	SAY("over", copy(fd, at + P, source, 2, 0));
	SAY("beyond", copy(fd, at + 7 * P, source, 2, 0));
	printf("%ld ", (long)five.done);
	SAY("protected", copy(fd, at + 2 * P, source, 1, 2));
	SAY("mode", copy(fd, at + 2 * P, source, 1, 4));
	printf("%ld ", (long)five.done);
	SAY("odd", copy(fd, at + 2 * P + 1, source, 1, 0));
	SAY("odd source", copy(fd, at + 2 * P, source + 9, 1, 0));
	SAY("bad source", copy(fd, at + 3 * P, hole(1), 1, 0));
	printf("%ld ", (long)five.done);
	SAY("half a source", copy(fd, at + 3 * P, gap, 2, 0));
	printf("%ld ", (long)five.done);
	SAY("elsewhere", copy(fd, memory(1, MAP_PRIVATE), source, 1, 0));
	SAY("zero", zeropage(fd, at + 4 * P, 1));
	SAY("zero", zeropage(fd, at + 4 * P, 2));
	printf("%ld ", (long)four.done);
	SAY("zero", zeropage(fd, at + 5 * P, 3));
	printf("%ld %lx %lx %d ", (long)four.done, pagemap(at + 4 * P), pagemap(at), at[4 * P]);
	SAY("poison", poison(fd, at, 1));
	SAY("continue", map_cached(fd, at, 1, 0));
	printf("%s %s %s\n", field(at, "Rss"), field(at, "Anonymous"), field(at, "Referenced"));
	close(fd);
}

static void marking(void)
{
	int fd = new_fd(0);
	char *at = memory(8, MAP_PRIVATE);
	watch(fd, at, 8, 1);
	SAY("poison", poison(fd, at, 1));
	NUM("pagemap", pagemap(at));
	SAY("copy", copy(fd, at, source, 1, 0));
	printf("%s ", touch(at, 0));
	SAY("poison", poison(fd, at + P, 1));
	printf("%s %s ", touch(at + P, 0), touch(at + P, 1));
	SAY("zero", zeropage(fd, at + P, 1));
	madvise(at + 2 * P, P, 102);
	SAY("zero over a guard", zeropage(fd, at + 2 * P, 1));
	SAY("poison over a guard", poison(fd, at + 2 * P, 1));
	SAY("copy over a guard", copy(fd, at + 2 * P, source, 1, 0));
	SAY("guard over poison", madvise(at + P, P, 102));
	printf("%s ", touch(at + P, 0));
	poison(fd, at + 3 * P, 1);
	SAY("populate", madvise(at + 3 * P, P, 23));
	SAY("mlock", mlock(at + 3 * P, P));
	SAY("dontneed", madvise(at + 3 * P, P, 24));
	NUM("pagemap", pagemap(at + 3 * P));
	poison(fd, at + 4 * P, 1);
	fflush(stdout); /* or both would write it, in either order */
	if (!fork()) {
		printf("child %s ", touch(at + 4 * P, 0));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	char *moved = mremap(at + 4 * P, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, hole(1));
	printf("moved %s\n", touch(moved, 0));
	close(fd);
}

static void memory_files(void)
{
	int fd = new_fd(0), file = memfd_create("x", 0);
	ftruncate(file, 4 * P);
	char *at = mmap(NULL, 6 * P, RW, MAP_SHARED, file, 0);
	char *view = mmap(NULL, 4 * P, RW, MAP_SHARED, file, 0);
	char *own = mmap(NULL, 4 * P, RW, MAP_PRIVATE, file, 0);
	watch(fd, at, 6, MISSING | MINOR);
	watch(fd, own, 4, MISSING | MINOR);
	SAY("continue", map_cached(fd, at, 1, 0));
	view[0] = 9;
	SAY("continue", map_cached(fd, at, 1, 0));
	SAY("again", map_cached(fd, at, 1, 0));
	SAY("copy", copy(fd, at, source, 1, 0));
	SAY("copy", copy(fd, at + P, source, 1, 0));
	SAY("zero", zeropage(fd, at + 2 * P, 1));
	printf("%d %d %d ", at[0], view[P], view[2 * P]);
	SAY("beyond", copy(fd, at + 4 * P, source, 1, 0));
	SAY("beyond", poison(fd, at + 4 * P, 1));
	SAY("own copy", copy(fd, own + 3 * P, source + P, 1, 0));
	printf("%d %d ", own[3 * P], view[3 * P]);
	SAY("own copy", copy(fd, own, source + P, 1, 0));
	SAY("own continue", map_cached(fd, own + P, 1, 0));
	printf("%s %d ", touch(own + P, 3), view[P]);
	SAY("own zero", zeropage(fd, own + 2 * P, 1));
	printf("%s ", touch(own + 2 * P, 3));
	printf("%s %s %s|%s %s\n", field(at, "Rss"), field(at, "Shared_Dirty"), field(at, "Pss"),
	       field(own, "Anonymous"), field(own, "Rss"));
	close(fd);
}

static void moving(void)
{
	int fd = new_fd(0);
	char *to = memory(8, MAP_PRIVATE), *from = memory(8, MAP_PRIVATE),
	     *shared = memory(1, MAP_SHARED);
	watch(fd, to, 8, 1);
	memset(from, 3, 3 * P);
	touch(from + 3 * P, 0);
	SAY("move", move(fd, to, from, 1, 0));
	printf("%ld %d %d ", (long)five.done, to[0], from[0]);
	SAY("zero page", move(fd, to + P, from + 3 * P, 1, 0));
	printf("%lx %lx ", pagemap(to + P), pagemap(from + 3 * P));
	SAY("hole", move(fd, to + 2 * P, from + 4 * P, 1, 0));
	SAY("hole", move(fd, to + 2 * P, from + 4 * P, 1, 2));
	printf("%ld ", (long)five.done);
	SAY("there", move(fd, to, from + P, 1, 0));
	SAY("part", move(fd, to + 3 * P, from + 2 * P, 3, 0));
	printf("%ld ", (long)five.done);
	SAY("not watched", move(fd, from + 5 * P, from + P, 1, 0));
	shared[0] = 1;
	SAY("shared", move(fd, to + 6 * P, shared, 1, 0));
	SAY("beyond", move(fd, to + 6 * P, from, 16, 2));
	SAY("mode", move(fd, to + 6 * P, from, 1, 4));
	mprotect(from + P, P, PROT_READ);
	SAY("protection", move(fd, to + 6 * P, from + P, 1, 0));
	mprotect(from + P, P, RW);
	fflush(stdout);
	pid_t child = fork();
	if (!child)
		for (;;)
			pause();
	SAY("forked", move(fd, to + 6 * P, from + P, 1, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	SAY("child gone", move(fd, to + 6 * P, from + P, 1, 0));
	mprotect(from + P, P, PROT_READ);
	mprotect(from + P, P, RW);
	SAY("protected twice", move(fd, to + 6 * P, from + P, 1, 0));
	from[P] = 4;
	SAY("stored to", move(fd, to + 6 * P, from + P, 1, 0));
	printf("%d %s %s\n", to[6 * P], field(to, "Rss"), field(from, "Rss"));
	close(fd);
}

static void protecting(void)
{
	int fd = new_fd(0);
	char *at = memory(6, MAP_PRIVATE);
	watch(fd, at, 6, PROTECT);
	at[0] = 1;
	touch(at + P, 0);
	SAY("protect", protect(fd, at, 3, 1));
	printf("%lx %lx %lx ", pagemap(at), pagemap(at + P), pagemap(at + 2 * P));
	SAY("both", protect(fd, at, 1, 3));
	SAY("mode", protect(fd, at, 1, 4));
	SAY("unprotect", protect(fd, at, 1, 0));
	printf("%lx %s ", pagemap(at), touch(at, 2));
	SAY("elsewhere", protect(fd, memory(1, MAP_PRIVATE), 1, 1));
	mprotect(at, 6 * P, PROT_READ);
	mprotect(at, 6 * P, RW);
	NUM("pagemap", pagemap(at + P));
	protect(fd, at, 1, 1);
	fflush(stdout);
	if (!fork()) {
		printf("child %lx %s ", pagemap(at), touch(at, 4));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	NUM("pagemap", pagemap(at));
	SAY("unregister", unwatch(fd, at, 6));
	printf("%lx %s\n", pagemap(at), touch(at, 7));
	close(fd);
}

static void protecting_what_is_not_there(void)
{
	int fd = new_fd(UFFD_FEATURE_WP_UNPOPULATED), file = memfd_create("x", 0);
	char *at = memory(6, MAP_PRIVATE);
	watch(fd, at, 6, MISSING | PROTECT);
	SAY("protect", protect(fd, at, 3, 1));
	printf("%lx %lx ", pagemap(at), pagemap(at + 3 * P));
	SAY("copy", copy(fd, at, source, 1, 0));
	SAY("zero", zeropage(fd, at + P, 1));
	SAY("copy", copy(fd, at + 3 * P, source, 1, 2));
	SAY("poison", poison(fd, at + P, 1));
	printf("%lx %lx ", pagemap(at), pagemap(at + 3 * P));
	madvise(at, 6 * P, MADV_DONTNEED);
	printf("%lx %lx\n", pagemap(at), pagemap(at + P));
	close(fd);
	ftruncate(file, 6 * P);
	at = mmap(NULL, 6 * P, RW, MAP_SHARED, file, 0);
	fd = new_fd(0);
	watch(fd, at, 6, MISSING | PROTECT);
	SAY("protect", protect(fd, at, 3, 1));
	NUM("pagemap", pagemap(at));
	SAY("zero", zeropage(fd, at, 1));
	SAY("copy", copy(fd, at + P, source, 1, 0));
	printf("%lx %lx ", pagemap(at), pagemap(at + P));
	protect(fd, at, 3, 1);
	NUM("pagemap", pagemap(at + P));
	madvise(at, 2 * P, MADV_DONTNEED);
	printf("%lx %lx ", pagemap(at), pagemap(at + 2 * P));
	ftruncate(file, 2 * P);
	printf("%lx %lx ", pagemap(at), pagemap(at + 2 * P));
	protect(fd, at, 6, 0);
	printf("%lx\n", pagemap(at));
	close(fd);
}

static void signals_and_nobody(void)
{
	int fd = new_fd(UFFD_FEATURE_SIGBUS), zero = open("/dev/zero", O_RDONLY);
	char *at = memory(2, MAP_PRIVATE), byte;
	struct iovec here = { &byte, 1 }, there = { at, 1 };
	watch(fd, at, 2, MISSING);
	printf("%s %s ", touch(at, 0), touch(at, 1));
	SAY("read", read(zero, at, 4));
	SAY("populate", madvise(at, P, 22));
	SAY("mlock", mlock(at, P));
	SAY("process_vm", process_vm_readv(getpid(), &here, 1, &there, 1, 0));
	copy(fd, at, source, 1, 0);
	printf("%s ", touch(at, 0));
	close(fd);
	fd = new_fd(UFFD_FEATURE_WP_ASYNC);
	at = memory(2, MAP_PRIVATE);
	at[0] = 1;
	SAY("register", watch(fd, at, 2, PROTECT));
	SAY("protect", protect(fd, at, 2, 1));
	printf("%lx %lx ", pagemap(at), pagemap(at + P));
	printf("%s %s %lx %lx\n", touch(at, 2), touch(at + P, 2), pagemap(at), pagemap(at + P));
	close(fd);
}

static void moved_and_gone(void)
{
	int fd = new_fd(0);
	char *at = memory(4, MAP_PRIVATE), *moved;
	watch(fd, at, 4, MISSING);
	at = mremap(at, 4 * P, 8 * P, MREMAP_MAYMOVE);
	printf("grown %s ", field(at, "VmFlags"));
	moved = mremap(at, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, hole(2));
	SAY("copy", copy(fd, moved, source, 1, 0));
	printf("moved %s %s ", field(moved, "VmFlags"), touch(moved, 0));
	munmap(moved, P);
	close(fd);
	printf("closed %s\n", field(at + 4 * P, "VmFlags"));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	source = memory(4, MAP_PRIVATE);
	memset(source, 5, 4 * P);
	memset(source + P, 6, P);
	before_and_after_the_api();
	registering();
	bringing();
	marking();
	memory_files();
	moving();
	protecting();
	protecting_what_is_not_there();
	signals_and_nobody();
	moved_and_gone();
	return 0;
}
