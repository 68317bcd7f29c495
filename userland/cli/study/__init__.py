"""Commands that measure and compare: the letter's claims, the host, guests and emulators."""
