# guest.S - what the emulated machine runs: the CRC-32 of a file.
#
# 64-bit code, position independent, started by the loader in ring 0 with
# paging on.  %rdi holds the linear address of the boot page (struct below,
# written by userland/bochs/loader.py).  The file comes in three parts, each of
# which fails with a wrong sum if the window kept an old page:
#
#   1. len_a bytes at DATA, as the first set of page tables shows them;
#   2. len_b bytes at the same DATA, after CR3 was changed to the second set;
#   3. len_slide bytes, page by page through the one linear page SLIDE: its
#      page table entry is rewritten and invlpg executed before each page; at
#      first it shows the boot page.
#
# Then the sum goes to port 0xe9 as eight hex digits and the guest halts.

	.set	DEBUG_PORT, 0xe9
	.set	POLYNOMIAL, 0xedb88320
	.set	PAGE, 4096

	# The boot page.
	.set	BOOT_MAGIC, 0
	.set	BOOT_DATA, 8
	.set	BOOT_LEN_A, 16
	.set	BOOT_LEN_B, 24
	.set	BOOT_LEN_SLIDE, 32
	.set	BOOT_CR3_B, 40
	.set	BOOT_SLIDE, 48		# linear address of the sliding page
	.set	BOOT_SLIDE_PTE, 56	# linear address of its page table entry
	.set	BOOT_TABLE, 64		# linear address of a free, writable page
	.set	BOOT_NR_PTES, 72
	.set	BOOT_PTES, 80		# the entries to put there, one a page
	.set	MAGIC, 0x74736575676b70	# "pkguest"

	.text
	# The image's header, checked by loader.py.
image:	.ascii	"PKGUEST1"
	.long	_start - image
	.long	image_end - image

	.globl	_start
_start:
	cld
	mov	%rdi, %r15		# r15: the boot page, throughout
	movabs	$MAGIC, %rax
	cmp	BOOT_MAGIC(%r15), %rax
	jne	bad_boot
	mov	BOOT_TABLE(%r15), %r14	# r14: the CRC's table, throughout
	call	make_table
	mov	$0xffffffff, %eax	# eax: the sum, throughout

	mov	BOOT_DATA(%r15), %rsi
	mov	BOOT_LEN_A(%r15), %rcx
	call	add_bytes

	mov	BOOT_CR3_B(%r15), %rdx
	mov	%rdx, %cr3
	mov	BOOT_DATA(%r15), %rsi
	mov	BOOT_LEN_B(%r15), %rcx
	call	add_bytes

	call	add_slide
	not	%eax
	call	print_hex
	hlt
	jmp	.

bad_boot:
	lea	bad_boot_text(%rip), %rsi
	call	print_text
	hlt
	jmp	.

# The 256 sums of one byte, at r14.
make_table:
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	mov	$8, %edx
2:	shr	$1, %eax
	jnc	3f
	xor	$POLYNOMIAL, %eax
3:	dec	%edx
	jnz	2b
	mov	%eax, (%r14,%rcx,4)
	inc	%ecx
	cmp	$256, %ecx
	jne	1b
	ret

# Add rcx bytes at rsi to the sum in eax.
add_bytes:
	test	%rcx, %rcx
	jz	2f
1:	movzbl	(%rsi), %edx
	xor	%al, %dl
	shr	$8, %eax
	xor	(%r14,%rdx,4), %eax
	inc	%rsi
	dec	%rcx
	jnz	1b
2:	ret

# Part 3: show each page at SLIDE, add up to one page of it.
add_slide:
	mov	BOOT_LEN_SLIDE(%r15), %r12	# bytes left
	lea	BOOT_PTES(%r15), %r13		# the next entry
	mov	BOOT_SLIDE(%r15), %rsi
	cmpb	$0, (%rsi)		# so that even one page finds an old one
1:	test	%r12, %r12
	jz	2f
	mov	(%r13), %rdx
	mov	BOOT_SLIDE_PTE(%r15), %rbx
	mov	%rdx, (%rbx)
	mov	BOOT_SLIDE(%r15), %rsi
	invlpg	(%rsi)
	mov	$PAGE, %ecx
	cmp	%rcx, %r12
	cmovb	%r12, %rcx
	sub	%rcx, %r12
	add	$8, %r13
	call	add_bytes
	jmp	1b
2:	ret

# Eight hex digits of eax and a newline.
print_hex:
	mov	%eax, %ebx
	mov	$8, %ecx
1:	rol	$4, %ebx
	mov	%ebx, %eax
	and	$15, %eax
	lea	digits(%rip), %rdx
	mov	(%rdx,%rax), %al
	out	%al, $DEBUG_PORT
	dec	%ecx
	jnz	1b
	mov	$'\n', %al
	out	%al, $DEBUG_PORT
	ret

print_text:
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, $DEBUG_PORT
	jmp	1b
2:	ret

digits:
	.ascii	"0123456789abcdef"
bad_boot_text:
	.asciz	"guest: the boot page is not what the loader promised\n"
image_end:

	.section .note.GNU-stack, "", @progbits
