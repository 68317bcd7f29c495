# vsyscall.S - the code of the kernel's page at 0xffffffffff600000, in both forms.
#
# kernel/cpu/vsyscall.py holds the bytes; a test assembles this file and compares.
# Each form is a page with three entry points; they obey the C calling
# convention and use %rax, %rcx, %rdx (and %r11, by the syscall instruction).
#
#   fast             reads the kernel's data page: one load of one word, so that
#                    no update can be seen half done; no trap
#   revirtualised    traps, so that whoever traces the task can answer

	.set	DATA, 0xffffffffff601000
	.set	REALTIME_NS, DATA
	.set	CPU, DATA + 8
	.set	NODE, DATA + 16

	.text
fast:
	.globl	fast
gettimeofday:				# (struct timeval *tv, struct timezone *tz)
	test	%rdi, %rdi
	jz	1f
	mov	REALTIME_NS, %rax
	xor	%edx, %edx
	mov	$1000000000, %ecx
	div	%rcx
	mov	%rax, (%rdi)
	mov	%rdx, %rax
	xor	%edx, %edx
	mov	$1000, %ecx
	div	%rcx
	mov	%rax, 8(%rdi)
1:	test	%rsi, %rsi
	jz	2f
	movq	$0, (%rsi)		# Greenwich
2:	xor	%eax, %eax
	ret

	.balign	1024, 0xcc
time:					# (time_t *t)
	mov	REALTIME_NS, %rax
	xor	%edx, %edx
	mov	$1000000000, %ecx
	div	%rcx
	test	%rdi, %rdi
	jz	1f
	mov	%rax, (%rdi)
1:	ret

	.balign	1024, 0xcc
getcpu:					# (unsigned *cpu, unsigned *node, void *unused)
	test	%rdi, %rdi
	jz	1f
	mov	CPU, %rax
	mov	%eax, (%rdi)
1:	test	%rsi, %rsi
	jz	2f
	mov	NODE, %rax
	mov	%eax, (%rsi)
2:	xor	%eax, %eax
	ret

	.balign	4096, 0xcc
revirtualised:
	.globl	revirtualised
	mov	$96, %eax		# gettimeofday
	syscall
	ret
	.balign	1024, 0xcc
	mov	$201, %eax		# time
	syscall
	ret
	.balign	1024, 0xcc
	mov	$309, %eax		# getcpu
	syscall
	ret
	.balign	4096, 0xcc
