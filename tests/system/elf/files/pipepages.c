/* splice, tee, sendfile and vmsplice: a pipe refers to pages, which may change before they are read. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static int ends[2], other[2];

/* Runs of equal bytes that a pipe gives. */
static void show(const char *what, int fd, int nbytes)
{
	static char data[65536];
	long nr = read(fd, data, (unsigned long)nbytes);
	printf("%s: %ld", what, nr);
	for (long i = 0, start = 0; i <= nr; i++)
		if (i == nr || data[i] != data[start]) {
			if (i > start)
				printf(" %ld*%02x", i - start, data[start] & 0xff);
			start = i;
		}
	printf("\n");
}

static unsigned hash_of(int fd)
{
	static unsigned char all[5 * PAGE];
	unsigned hash = 0;
	long nr = pread(fd, all, sizeof all, 0);
	for (long i = 0; i < nr; i++)
		hash = hash * 31 + all[i];
	return hash;
}

/* A file's pages by a pipe to the file itself: what was stored is what is copied next. */
static void by_pipe(int from, int to, int nbytes, int step)
{
	unsigned char data[3 * PAGE];
	long moved, done = 0;
	loff_t in = from, out = to;
	int fd = memfd_create("itself", 0), pair[2];
	for (int i = 0; i < (int)sizeof data; i++)
		data[i] = i * 7 + i / 251;
	write(fd, data, sizeof data);
	pipe(pair);
	long filled = splice(fd, &in, pair[1], NULL, nbytes, 0);
	while (done < filled && (moved = splice(pair[0], NULL, fd, &out, step, 0)) > 0)
		done += moved;
	printf("itself %d to %d: %ld %ld %08x\n", from, to, filled, done, hash_of(fd));
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void by_pipes(void)
{
	static const int places[] = { 0, 1, 9, 100, 4000, PAGE - 1, PAGE, PAGE + 1, 5000 };
	for (int i = 0; i < 81; i++)
		by_pipe(places[i / 9], places[i % 9], i % 2 ? 7000 : 50, 7000);
	by_pipe(0, 1, 3000, 100);
	by_pipe(0, 3, 9000, 5000);
	by_pipe(100, 0, 3000, 7);
}

static int filled(int pages, int byte)
{
	char data[PAGE];
	int fd = memfd_create("file", 0);
	for (int i = 0; i < pages; i++) {
		memset(data, byte + i, PAGE);
		pwrite(fd, data, PAGE, i * PAGE);
	}
	return fd;
}

static long into_pipe(int fd, long offset, long nbytes)
{
	off_t at = offset;
	return splice(fd, &at, ends[1], NULL, (unsigned long)nbytes, 0);
}

/* A file to a place further on, and further back, in itself: of pages that change meanwhile. */
static void onto_itself(void)
{
	for (long by = -PAGE - 3; by <= 2 * PAGE + 3; by += PAGE + 3) {
		int fd = filled(3, '0');
		off_t from = by < 0 ? -by : 0;
		lseek(fd, from + by, SEEK_SET);
		printf("sendfile by %ld: %ld\n", by, sendfile(fd, fd, &from, 5 * PAGE));
		lseek(fd, 0, SEEK_SET);
		show("the file", fd, 8 * PAGE);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		by_pipes();
		return 0;
	}
	onto_itself();
	pipe(ends);
	pipe(other);
	int fd = filled(4, 'a');
	printf("%ld\n", into_pipe(fd, 0, 2 * PAGE));
	pwrite(fd, "XY", 2, 10);
	show("a write shows", ends[0], 2 * PAGE);
	into_pipe(fd, 0, 3 * PAGE);
	ftruncate(fd, PAGE + 100);
	show("truncated", ends[0], 3 * PAGE);
	ftruncate(fd, 0);
	close(fd);

	fd = filled(2, 'p');
	into_pipe(fd, 100, PAGE);
	ftruncate(fd, 0);
	ftruncate(fd, 2 * PAGE);
	pwrite(fd, "ZZZZ", 4, 200);
	show("another page came", ends[0], PAGE);
	close(fd);

	fd = filled(1, 's');
	into_pipe(fd, 0, PAGE);
	close(fd);
	show("the file has gone", ends[0], PAGE);

	fd = filled(1, 'm');
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	into_pipe(fd, 0, PAGE);
	at[5] = 'M';
	show("a store through a mapping", ends[0], PAGE);
	into_pipe(fd, 0, PAGE);
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE);
	at[7] = 'N';
	show("a hole", ends[0], PAGE);
	munmap(at, PAGE);
	close(fd);

	fd = filled(2, 't');
	into_pipe(fd, 0, 2 * PAGE);
	printf("tee %ld\n", tee(ends[0], other[1], 3 * PAGE, 0));
	pwrite(fd, "T", 1, 3);
	show("one", ends[0], 100);
	show("the rest", ends[0], 2 * PAGE - 100);
	pwrite(fd, "U", 1, 1);
	show("the other", other[0], 2 * PAGE);
	into_pipe(fd, 0, 2 * PAGE);
	printf("splice %ld\n", splice(ends[0], NULL, other[1], NULL, PAGE + 10, 0));
	pwrite(fd, "V", 1, 2);
	pwrite(fd, "W", 1, PAGE + 20);
	show("here", ends[0], 2 * PAGE);
	show("there", other[0], 2 * PAGE);
	off_t start = 50;
	printf("sendfile %ld\n", sendfile(ends[1], fd, &start, PAGE));
	pwrite(fd, "S", 1, 60);
	show("sendfile", ends[0], PAGE);
	write(ends[1], "plain", 5);
	into_pipe(fd, 0, 10);
	write(ends[1], "text", 4);
	pwrite(fd, "0123456789", 10, 0);
	show("between bytes", ends[0], 100);
	int out = memfd_create("out", 0);
	into_pipe(fd, 0, PAGE);
	pwrite(fd, "out", 3, 0);
	printf("to a file %ld\n", splice(ends[0], NULL, out, NULL, PAGE, 0));
	pwrite(fd, "late", 4, 0);
	lseek(out, 0, SEEK_SET);
	show("the file", out, PAGE);
	close(out);
	close(fd);

	char *mine =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(mine, 'v', 2 * PAGE);
	struct iovec parts[2] = { { mine + 10, 100 }, { mine + PAGE, PAGE } };
	printf("vmsplice %ld\n", vmsplice(ends[1], parts, 2, 0));
	mine[12] = 'V';
	mine[PAGE] = 'W';
	show("memory", ends[0], 2 * PAGE);
	vmsplice(ends[1], parts, 2, 0);
	munmap(mine, 2 * PAGE);
	show("memory that has gone", ends[0], 2 * PAGE);
	return 0;
}
