/*
 * insn.h - the form of one instruction of 64-bit code; read by the processor's own files only.
 */
#ifndef PKERN_INSN_H
#define PKERN_INSN_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_INSN 15
#define NO_REGISTER 0xff

enum insn_map { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };

struct insn {
	uint8_t length;                    /* bytes */
	uint8_t map, opcode;               /* enum insn_map */
	uint8_t repeat;                    /* 0xf2, 0xf3 or 0: the last such prefix */
	uint8_t segment;                   /* 0x64, 0x65 or 0 */
	uint8_t modrm, base, index, scale; /* numbers of registers, or NO_REGISTER */
	uint8_t rm;                        /* the register that modrm names instead of memory */
	bool vex;                          /* in the newer encoding, of which maps are the same */
	bool word;                         /* the prefix 0x66 */
	bool lock;                         /* the prefix 0xf0 */
	bool short_address;                /* the prefix 0x67 */
	bool memory;                       /* modrm names memory: base + index * scale + disp */
	bool after;                        /* the same from the next instruction on */
	int64_t disp;
};

/* The instruction that bytes begin with; false: it is longer than nr, or none that programs use. */
bool insn_decode(const uint8_t *bytes, uint64_t nr, struct insn *in);

#endif
