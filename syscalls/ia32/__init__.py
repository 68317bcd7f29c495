"""The i386 table of system calls, which `int 0x80` asks for, also from 64-bit code."""
