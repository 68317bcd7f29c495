"""Commands that run a program many times: suites, every failure, every order."""
