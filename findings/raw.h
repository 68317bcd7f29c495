/*
 * Programs without a C library, for emulators that would stumble over one's start: system calls,
 * and lines of text and a number. Included by the C programs of the qiling and angr scripts.
 */
static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall" : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static void say(const char *what, long value)
{
	char digits[24];
	int at = sizeof(digits);
	unsigned long rest = value < 0 ? -value : value;
	long length = 0;

	while (what[length])
		length++;
	digits[--at] = '\n';
	do
		digits[--at] = '0' + rest % 10;
	while (rest /= 10);
	if (value < 0)
		digits[--at] = '-';
	call(1, 1, (long)what, length, 0, 0, 0);
	call(1, 1, (long)": ", 2, 0, 0, 0);
	call(1, 1, (long)(digits + at), sizeof(digits) - at, 0, 0, 0);
}

int run(int argument);

/* The kernel enters here: argc, argv[0], argv[1], ... on the stack. */
void begin(char **stack)
{
	call(231, run(stack[0] == (char *)2 ? stack[2][0] - 'a' : 0), 0, 0, 0, 0, 0);
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
