// io_uring's slots: open files without a descriptor, made, used, replaced and taken away by requests
// and by io_uring_register; registered buffers with tags.
#define _GNU_SOURCE
#include "../newrings.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char memory[4][4096] __attribute__((aligned(4096)));

static void fixed(struct io_uring_sqe *e, unsigned slot) { e->file_index = slot; }

static void no_table(struct ring *r, const char *path)
{
	fixed(next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0, 0, 1), 1);
	tell(r, "a slot of none", 1, 1);
	fixed(next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0, 0, 2), ANY_SLOT);
	tell(r, "any slot of none", 1, 1);
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 3), 1);
	tell(r, "close a slot of none", 1, 1);
	int fds[2] = { 0, 1 };
	next(r, IORING_OP_FILES_UPDATE, 0, fds, 2, 0, 4);
	tell(r, "update none", 1, 1);
	next(r, IORING_OP_FILES_UPDATE, 0, fds, 2, ANY_SLOT, 5);
	tell(r, "update any of none", 1, 1);
	uint64_t range[2] = { 0, 0 };
	printf("range of none %ld\n", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, range, 0));
	range[0] = 1ull << 32;
	printf("range of one %ld\n", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, range, 0));
}

static void tables(struct ring *r)
{
	struct rsrc_register arg = { .nr = 8, .flags = 1 };
	int fds[4] = { 0, -1, 1, -2 };
	uint64_t tags[4] = { 0, 7, 0, 0 };

	printf("wrong size %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, 16));
	arg.flags = 2;
	printf("wrong flag %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
	arg.flags = 1;
	arg.data = (uintptr_t)fds;
	printf("sparse with files %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
	arg.flags = 0;
	arg.nr = 0;
	printf("none %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
	arg.nr = 2;
	arg.tags = (uintptr_t)tags;
	printf("a tag of nothing %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
	arg.nr = 4;
	arg.tags = 0;
	printf("a skip %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
	arg.nr = 1u << 21;
	arg.data = 0;
	printf("too many %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
	arg.nr = 8;
	arg.flags = 1;
	printf("sparse %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
	printf("again %ld\n", reg(r, IORING_REGISTER_FILES2, &arg, sizeof(arg)));
}

static void slots(struct ring *r, const char *path)
{
	char data[16] = { 0 };
	struct rlimit old, none = { 0, 0 };

	struct io_uring_sqe *e = next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 1);
	e->open_flags = O_RDWR | O_CREAT | O_CLOEXEC;
	fixed(e, 1);
	tell(r, "cloexec", 1, 1);
	e = next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 1);
	e->open_flags = O_RDWR | O_CREAT;
	fixed(e, 3);
	tell(r, "into the third", 1, 1);
	getrlimit(RLIMIT_NOFILE, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &none);
	e = next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 2);
	fixed(e, ANY_SLOT);
	tell(r, "into any, no descriptors", 1, 1);
	next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 3);
	tell(r, "no descriptor", 1, 1);
	setrlimit(RLIMIT_NOFILE, &old);
	fixed(next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 4), 9);
	tell(r, "outside", 1, 1);
	next(r, IORING_OP_WRITE, 2, "slot three", 10, 0, 5)->flags = IOSQE_FIXED_FILE;
	tell(r, "write", 1, 1);
	next(r, IORING_OP_READ, 3, data, 10, 0, 6)->flags = IOSQE_FIXED_FILE;
	tell(r, "read by another", 1, 1);
	printf("%s\n", data);
	for (int i = 0; i < 7; i++) {
		fixed(next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 10 + i), ANY_SLOT);
		tell(r, "any", 1, 1);
	}
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 20), 6);
	tell(r, "close", 1, 1);
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 21), 6);
	tell(r, "close again", 1, 1);
	fixed(next(r, IORING_OP_CLOSE, 1, NULL, 0, 0, 22), 5);
	tell(r, "close both", 1, 1);
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 23), 100);
	tell(r, "close outside", 1, 1);
	next(r, IORING_OP_READ, 5, data, 10, 0, 24)->flags = IOSQE_FIXED_FILE;
	tell(r, "read closed", 1, 1);
	fixed(next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 25), ANY_SLOT);
	tell(r, "any", 1, 1);
	struct {
		uint32_t off, len;
		uint64_t resv;
	} range = { 6, 3, 0 };
	printf("range outside %ld", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0));
	range.len = 2;
	range.resv = 1;
	printf(" reserved %ld", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0));
	range.resv = 0;
	printf(" nr %ld", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, &range, 1));
	range.off = 0xffffffff;
	printf(" over %ld", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0));
	range.off = 6;
	printf(" %ld\n", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0));
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 30), 2);
	tell(r, "close the second", 1, 1);
	fixed(next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 31), ANY_SLOT);
	tell(r, "any of the last two", 1, 1);
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 32), 8);
	tell(r, "close the last", 1, 1);
	fixed(next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 33), ANY_SLOT);
	tell(r, "any of the last two", 1, 1);
}

static void descriptors(struct ring *r)
{
	struct io_uring_sqe *e = next(r, OP_FIXED_FD_INSTALL, 2, NULL, 0, 0, 1);

	tell(r, "not a slot", 1, 1);
	e = next(r, OP_FIXED_FD_INSTALL, 2, NULL, 0, 0, 2);
	e->flags = IOSQE_FIXED_FILE;
	long fd = one(r, 1);
	printf("a descriptor of a slot: cloexec %d size %ld\n", fcntl((int)fd, F_GETFD),
	       (long)lseek((int)fd, 0, SEEK_END));
	close((int)fd);
	e = next(r, OP_FIXED_FD_INSTALL, 2, NULL, 0, 0, 3);
	e->flags = IOSQE_FIXED_FILE;
	e->rw_flags = 1;
	fd = one(r, 1);
	printf("kept: cloexec %d\n", fcntl((int)fd, F_GETFD));
	close((int)fd);
	e = next(r, OP_FIXED_FD_INSTALL, 2, NULL, 0, 0, 4);
	e->flags = IOSQE_FIXED_FILE;
	e->rw_flags = 2;
	tell(r, "wrong flag", 1, 1);
	e = next(r, OP_FIXED_FD_INSTALL, 2, NULL, 5, 0, 5);
	e->flags = IOSQE_FIXED_FILE;
	tell(r, "wrong length", 1, 1);
	e = next(r, OP_FIXED_FD_INSTALL, 99, NULL, 0, 0, 6);
	e->flags = IOSQE_FIXED_FILE;
	tell(r, "no such slot", 1, 1);
}

static void updates(struct ring *r)
{
	int fds[3] = { 0, -2, -1 }, p[2];
	struct rsrc_update2 up = { .offset = 0, .data = (uintptr_t)fds, .nr = 3 };
	uint64_t tags[3] = { 100, 0, 0 };

	printf("update %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	up.tags = (uintptr_t)tags;
	printf("with a tag %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	tags[1] = 5;
	printf("a tag of a skip %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	tell(r, "the first tag", 0, 0);
	up.nr = 0;
	printf("none %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	up.nr = 9;
	printf("too many %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	up.nr = 1;
	up.offset = 0xffffffff;
	printf("over %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	up.offset = 0;
	fds[0] = 99;
	printf("closed %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	tell(r, "its tag", 0, 0);
	if (pipe(p))
		return;
	fds[0] = p[0];
	tags[0] = 200;
	printf("a pipe %ld\n", reg(r, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
	next(r, IORING_OP_READ, 0, memory[0], 4, 0, 40)->flags = IOSQE_FIXED_FILE;
	printf("submitted %ld\n", enter(r, 1, 0, 0));
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 41), 1);
	tell(r, "closed under a read", 1, 1);
	if (write(p[1], "abcd", 4) != 4)
		return;
	tell(r, "then it reads", 0, 2);
	fds[0] = p[0];
	fds[1] = p[1];
	next(r, IORING_OP_FILES_UPDATE, 0, fds, 2, 0, 42);
	tell(r, "by a request", 1, 1);
	fixed(next(r, IORING_OP_CLOSE, 0, NULL, 0, 0, 43), 8);
	tell(r, "close", 1, 1);
	next(r, IORING_OP_FILES_UPDATE, 0, fds, 2, ANY_SLOT, 44);
	tell(r, "to any", 1, 1);
	printf("%d %d\n", fds[0], fds[1] == p[1]);
	close(p[0]);
	close(p[1]);
}

static void sockets(struct ring *r)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	uint64_t range[2] = { 8ull << 32, 0 };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fds[8];

	memset(fds, -1, sizeof(fds));
	next(r, IORING_OP_FILES_UPDATE, 0, fds, 8, 0, 1);
	tell(r, "all empty", 1, 1);
	printf("range %ld\n", reg(r, IORING_REGISTER_FILE_ALLOC_RANGE, range, 0));
	fixed(next(r, IORING_OP_SOCKET, AF_INET, NULL, 0, SOCK_STREAM | SOCK_CLOEXEC, 2), 1);
	tell(r, "cloexec", 1, 1);
	fixed(next(r, IORING_OP_SOCKET, AF_INET, NULL, 0, SOCK_STREAM, 3), ANY_SLOT);
	tell(r, "a socket", 1, 1);
	bind(listener, (struct sockaddr *)&at, sizeof(at));
	listen(listener, 5);
	getsockname(listener, (struct sockaddr *)&at, &length);
	struct io_uring_sqe *e = next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 4);
	fixed(e, 3);
	e->accept_flags = SOCK_CLOEXEC;
	tell(r, "accept with cloexec", 1, 1);
	e = next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 5);
	fixed(e, 3);
	e->ioprio = IORING_ACCEPT_MULTISHOT;
	tell(r, "many into one slot", 1, 1);
	fixed(next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 6), 3);
	next(r, IORING_OP_CONNECT, 0, &at, 0, sizeof(at), 7)->flags = IOSQE_FIXED_FILE;
	run(r, "accept, connect", 2, 2);
	next(r, IORING_OP_SEND, 0, "by slots", 8, 0, 8)->flags = IOSQE_FIXED_FILE;
	next(r, IORING_OP_RECV, 2, memory[1], 8, 0, 9)->flags = IOSQE_FIXED_FILE;
	run(r, "send, receive", 2, 2);
	e = next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 10);
	fixed(e, ANY_SLOT);
	e->ioprio = IORING_ACCEPT_MULTISHOT;
	printf("submitted %ld\n", enter(r, 1, 0, 0));
	for (int i = 0; i < 3; i++) {
		int client = socket(AF_INET, SOCK_STREAM, 0);
		connect(client, (struct sockaddr *)&at, sizeof(at));
		tell(r, "accepted", 0, 1);
		close(client);
	}
	next(r, IORING_OP_ASYNC_CANCEL, 0, (void *)10, 0, 0, 11);
	run(r, "called off", 1, 2);
	printf("unregister %ld\n", reg(r, IORING_UNREGISTER_FILES, NULL, 0));
	close(listener);
}

static void buffers(struct ring *r)
{
	struct iovec v[2] = { { memory[0], 4096 }, { NULL, 0 } };
	uint64_t tags[2] = { 50, 51 };
	struct rsrc_register arg = { .nr = 2, .data = (uintptr_t)v, .tags = (uintptr_t)tags };
	struct rsrc_update2 up = { .offset = 1, .data = (uintptr_t)v, .nr = 1 };
	int p[2];

	if (pipe(p))
		return;
	printf("update of none %ld\n", reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	printf("a tag of nothing %ld\n", reg(r, IORING_REGISTER_BUFFERS2, &arg, sizeof(arg)));
	tags[1] = 0;
	printf("buffers %ld\n", reg(r, IORING_REGISTER_BUFFERS2, &arg, sizeof(arg)));
	printf("again %ld\n", reg(r, IORING_REGISTER_BUFFERS2, &arg, sizeof(arg)));
	struct io_uring_sqe *e = next(r, IORING_OP_WRITE_FIXED, p[1], memory[1], 5, 0, 1);
	e->buf_index = 1;
	tell(r, "an empty slot", 1, 1);
	v[0].iov_base = memory[1];
	printf("update %ld\n", reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	memcpy(memory[1], "fixed", 5);
	e = next(r, IORING_OP_WRITE_FIXED, p[1], memory[1], 5, 0, 2);
	e->buf_index = 1;
	tell(r, "now there", 1, 1);
	e = next(r, IORING_OP_READ_FIXED, p[0], memory[1] + 4095, 5, 0, 3);
	e->buf_index = 1;
	tell(r, "over its end", 1, 1);
	up.offset = 0;
	v[0].iov_base = NULL;
	v[0].iov_len = 0;
	printf("replaced by nothing %ld\n",
	       reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	tell(r, "its tag", 0, 0);
	up.offset = 2;
	printf("outside %ld\n", reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	up.offset = 0;
	v[0].iov_len = 5;
	printf("nowhere %ld\n", reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	v[0].iov_base = (void *)4096;
	printf("not mapped %ld\n", reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	v[0].iov_base = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("read only %ld\n", reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	v[0].iov_len = (1ul << 30) + 1;
	printf("too long %ld\n", reg(r, IORING_REGISTER_BUFFERS_UPDATE, &up, sizeof(up)));
	struct iovec two[2] = { { memory[1], 2 }, { memory[1] + 2, 3 } };
	e = next(r, OP_READV_FIXED, p[0], two, 2, 0, 4);
	e->buf_index = 1;
	tell(r, "vectors in it", 1, 1);
	two[1].iov_base = memory[2];
	e = next(r, OP_WRITEV_FIXED, p[1], two, 2, 0, 5);
	e->buf_index = 1;
	tell(r, "one outside", 1, 1);
	printf("unregister %ld\n", reg(r, IORING_UNREGISTER_BUFFERS, NULL, 0));
	arg.data = 0;
	arg.tags = 0;
	arg.flags = 1;
	printf("sparse %ld\n", reg(r, IORING_REGISTER_BUFFERS2, &arg, sizeof(arg)));
	close(p[0]);
	close(p[1]);
}

/* What is registered from nowhere: no argument. */
static void from_nowhere(struct ring *r)
{
	static const unsigned whats[] = { 0, 2, 22, 23, 26 };

	for (unsigned i = 0; i < sizeof(whats) / sizeof(*whats); i++) {
		for (unsigned nr = 0; nr < 3; nr++)
			printf("from nowhere %u %u: %ld\n", whats[i], nr,
			       reg(r, whats[i], NULL, nr));
	}
}

int main(int argc, char **argv)
{
	struct ring r;
	char path[200];

	setvbuf(stdout, NULL, _IONBF, 0);
	snprintf(path, sizeof(path), "%s/in a slot", argc > 1 ? argv[1] : "/tmp");
	open_ring(&r, 0);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	from_nowhere(&r);
	no_table(&r, path);
	tables(&r);
	slots(&r, path);
	descriptors(&r);
	updates(&r);
	sockets(&r);
	buffers(&r);
	unlink(path);
	return 0;
}
