"""Commands that run one program on one machine, and what is shown of it."""
