/* true.c - a program that ends at once: what is left of a start when the program does nothing. */

int main(void) { return 0; }
