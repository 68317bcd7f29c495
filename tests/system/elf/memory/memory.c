/* Memory between processes and under code; prints what it finds. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

static char *move_brk(char *to) { return (char *)syscall(SYS_brk, to); }

static void heap(void)
{
	char *start = (char *)(((uintptr_t)move_brk(NULL) + PAGE - 1) & -PAGE);
	char *end = move_brk(start + 3 * PAGE);
	start[3 * PAGE - 1] = 7;
	printf("brk %ld", (long)(end - start));
	printf(" %ld", (long)(move_brk(start + PAGE) - start));
	move_brk(start + 3 * PAGE);
	printf(" zero %d too far %d\n", start[3 * PAGE - 1],
	       move_brk((char *)1) == start + 3 * PAGE);
	char *big = malloc(8 << 20);
	memset(big, 3, 8 << 20);
	int sum = 0;
	for (size_t i = 0; i < 8 << 20; i += PAGE)
		sum += big[i];
	free(big);
	printf("malloc %d\n", sum);
}

static void sharing(void)
{
	int *shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *own = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared[0] = own[0] = 1;
	pid_t pid = fork();
	if (!pid) {
		shared[0] = own[0] = 2;
		own[1] = 9;
		_exit(own[0]);
	}
	int status;
	waitpid(pid, &status, 0);
	printf("shared %d own %d %d child %d\n", shared[0], own[0], own[1], WEXITSTATUS(status));
}

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0xffffffffu);
}

static void futexes(void)
{
	uint32_t *word = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t private = 3;
	struct timespec soon = { 0, 2000000 };
	long r = futex(&private, FUTEX_WAIT, 4, NULL);
	printf("not equal %ld %d\n", r, errno == EAGAIN);
	r = futex(&private, FUTEX_WAIT, 3, &soon);
	printf("timeout %ld %d\n", r, errno == ETIMEDOUT);
	r = futex((uint32_t *)((char *)&private + 1), FUTEX_WAIT, 3, &soon);
	printf("misaligned %ld %d\n", r, errno == EINVAL);
	printf("nobody %ld\n", futex(&private, FUTEX_WAKE, 1, NULL));
	for (int i = 0; i < 3; i++)
		if (!fork()) {
			__atomic_add_fetch(&word[1], 1, __ATOMIC_SEQ_CST);
			long got = futex(word, FUTEX_WAIT, 0, NULL);
			__atomic_add_fetch(&word[2], 1, __ATOMIC_SEQ_CST);
			_exit(got == 0 ? 0 : 1);
		}
	while (__atomic_load_n(&word[1], __ATOMIC_SEQ_CST) < 3)
		usleep(100);
	long woken = 0;
	while (woken < 1) {
		woken += futex(word, FUTEX_WAKE, 1, NULL);
		usleep(100);
	}
	while (!__atomic_load_n(&word[2], __ATOMIC_SEQ_CST))
		usleep(100);
	usleep(5000); /* and no other */
	printf("one woken: %u\n", __atomic_load_n(&word[2], __ATOMIC_SEQ_CST));
	while (woken < 3)
		woken += futex(word, FUTEX_WAKE, 10, NULL);
	int bad = 0, status;
	for (int i = 0; i < 3; i++) {
		wait(&status);
		bad += status != 0;
	}
	printf("all woken: %u bad %d\n", word[2], bad);
}

/* mov eax, imm32; ret */
static void put_code(unsigned char *at, uint32_t value)
{
	at[0] = 0xb8;
	memcpy(at + 1, &value, 4);
	at[5] = 0xc3;
}

static int call(void *at) { return ((int (*)(void))at)(); }

static void code(void)
{
	unsigned char *rwx = mmap(0, 2 * PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	put_code(rwx, 1);
	printf("code %d", call(rwx));
	for (int i = 2; i < 5; i++) {
		put_code(rwx, i);
		printf(" %d", call(rwx));
	}
	printf("\n");
	int fd = memfd_create("code", 0);
	(void)!ftruncate(fd, 2 * PAGE);
	unsigned char *w = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned char *x = mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	put_code(w, 10);
	printf("alias %d", call(x));
	for (int i = 11; i < 15; i++) {
		put_code(w, i);
		printf(" %d", call(x));
	}
	unsigned char text[6];
	put_code(text, 20);
	(void)!pwrite(fd, text, 6, 0);
	printf(" write %d", call(x));
	int in[2];
	(void)!pipe(in);
	for (int i = 21; i < 24; i++) {
		put_code(text, i);
		(void)!write(in[1], text, 6);
		(void)!read(in[0], w, 6);
		printf(" read %d", call(x));
	}
	printf("\n");
	/* the same address, another page */
	for (int i = 30; i < 33; i++) {
		unsigned char *p =
			mmap(rwx, PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		put_code(p, i);
		printf("remapped %d ", call(p));
	}
	printf("\n");
	/* a child's copy of code that it then rewrites */
	put_code(rwx, 40);
	call(rwx);
	pid_t pid = fork();
	if (!pid) {
		int before = call(rwx);
		put_code(rwx, 41);
		_exit(before == 40 ? call(rwx) : 99);
	}
	int status;
	waitpid(pid, &status, 0);
	printf("child %d parent %d\n", WEXITSTATUS(status), call(rwx));
	/* code that rewrites the page that it is in */
	/* clang-format off */
	unsigned char loop[] = { 0x31, 0xc0,       /* xor eax, eax */
				 0xff, 0xc0,       /* 2: inc eax */
				 0x88, 0x07,       /* mov [rdi], al */
				 0x83, 0xf8, 0x05, /* cmp eax, 5 */
				 0x75, 0xf7,       /* jne 2 */
				 0xb8, 0, 0, 0, 0, /* mov eax, imm: the byte that is written */
				 0xc3 };
	/* clang-format on */
	unsigned char *self = mmap(0, PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(self, loop, sizeof(loop));
	printf("self %d\n", ((int (*)(void *))self)(self + 12));
	mprotect(rwx, PAGE, PROT_READ);
	mprotect(rwx, PAGE, PROT_READ | PROT_EXEC);
	printf("protected %d\n", call(rwx));
}

/* Code that stores beside itself, then into the block that it jumps to: each store must count. */
static void two_stores(void)
{
	unsigned char loop[] = { 0x31, 0xd2,             /* xor edx, edx */
				 0x31, 0xc0,             /* xor eax, eax */
				 0xff, 0xc0,             /* 4: inc eax */
				 0x88, 0x07,             /* mov [rdi], al */
				 0x88, 0x06,             /* mov [rsi], al */
				 0xeb, 0x00,             /* jmp 12 */
				 0xb9, 0x00, 0,    0, 0, /* 12: mov ecx, imm: the second byte */
				 0x01, 0xca,             /* add edx, ecx */
				 0x83, 0xf8, 0x05,       /* cmp eax, 5 */
				 0x75, 0xec,             /* jne 4 */
				 0x89, 0xd0,             /* mov eax, edx */
				 0xc3 };
	int fd = memfd_create("code", 0); /* so that the page is clean when it runs */
	(void)!ftruncate(fd, PAGE);
	(void)!pwrite(fd, loop, sizeof(loop), 0);
	unsigned char *p = mmap(0, PAGE, 7, MAP_SHARED, fd, 0);
	for (int i = 0; i < 3; i++) {
		printf("two stores %d\n", ((int (*)(void *, void *))p)(p + 100, p + 13));
		mprotect(p, PAGE, PROT_READ | PROT_EXEC);
		mprotect(p, PAGE, 7);
	}
}

/* As a compiler at run time does: written, then executed, never both. */
static void write_or_execute(void)
{
	unsigned char *p = mmap(0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 50; i < 54; i++) {
		mprotect(p, PAGE, PROT_READ | PROT_WRITE);
		p[200] = i;
		put_code(p, i);
		mprotect(p, PAGE, PROT_READ | PROT_EXEC);
		printf("either %d %d\n", call(p), p[200]);
	}
}

static void many(void)
{
	enum { N = 3000 };
	uint64_t x = 88172645463325252ull, sum = 0;
	char *p = mmap(0, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < N; i++)
		*(uint64_t *)(p + i * PAGE) = i * 977;
	for (int i = 0; i < 200000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += *(uint64_t *)(p + x % N * PAGE);
	}
	printf("sum %lu\n", sum);
	for (int round = 0; round < 20; round++) {
		madvise(p, N * PAGE / 2, MADV_DONTNEED);
		for (int i = 0; i < N; i += 7)
			sum += *(uint64_t *)(p + i * PAGE);
	}
	printf("sum %lu\n", sum);
	char *q = mremap(p, N * PAGE, N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 mmap(0, N * PAGE, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("moved %lu\n", *(uint64_t *)(q + (N - 1) * PAGE));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	heap();
	sharing();
	futexes();
	code();
	two_stores();
	write_or_execute();
	many();
	return 0;
}
