/** Exit codes of the programs, so that a supervisor can tell mistakes that a restart cannot mend from those it can. */

/** EX_CONFIG of sysexits.h: the configuration is wrong; starting again with the same one is useless. */
export const EXIT_CONFIG = 78
/** The command line is wrong, as most shells' tools say it. */
export const EXIT_USAGE = 2
/** EX_USAGE of sysexits.h: a wrong command line where 2 already means something else. */
export const EXIT_USAGE_SYSEXITS = 64
/** EX_UNAVAILABLE of sysexits.h: what the command needs did not answer, so nothing is known. */
export const EXIT_UNAVAILABLE = 69
