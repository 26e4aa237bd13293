package osmem

// FreeBSD has removed MAP_NORESERVE, which it never implemented.
const (
	noReserve    = 0
	reserveFlags = noReserve
)
