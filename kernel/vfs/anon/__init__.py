"""Files without a name, behind descriptors: what is waited for, watched, timed, secret."""
